// The supervisor's decisions in words.

import type { Decision, Exit, Outcome, Resource } from './policy/state.js';

export type Level = 'info' | 'warn' | 'error';

export function levelOf(decision: Decision): Level {
  switch (decision.event) {
    case 'give-up':
    case 'gave-up':
    case 'failed':
      return 'error';
    case 'exit':
      return decision.cause === 'itself' && decision.exitCode !== 0 ? 'warn' : 'info';
    case 'end':
      return decision.cause === 'watchdog' || decision.cause === 'not ready' ? 'warn' : 'info';
    case 'unhealthy':
    case 'alarm':
    case 'alarm-failed':
    case 'no-limits':
    case 'backoff':
    case 'refused':
    case 'kill':
    case 'replacement-failed':
    case 'image-failed':
    case 'image-exit':
    case 'companion-exit':
    case 'config-refused':
    case 'no-control':
    case 'no-cgroup':
    case 'no-manager':
      return 'warn';
    default:
      return 'info';
  }
}

/** How a process ended, and why: `exited with code 3: Error: no database`. */
export function describeExit(exit: Exit): string {
  const { cause, error } = exit;
  const told = cause === 'itself' ? '' : ` (${cause})`;
  // The first line of an error with its stack says what it is.
  const why = error === undefined ? '' : `: ${error.split('\n', 1)[0]}`;
  return `${describeOutcome(exit)}${told}${why}`;
}

export function describeOutcome({ exitCode, signal, coreDumped, outOfMemory }: Outcome): string {
  if (outOfMemory) return 'out of memory';
  if (signal === null) return `exited with code ${exitCode}`;
  return `killed by ${signal}${coreDumped ? ', core dumped' : ''}`;
}

export function sentence(decision: Decision): string {
  switch (decision.event) {
    case 'start':
      return `worker ${decision.worker} started with pid ${decision.pid}`;
    case 'ready':
      return `worker ${decision.worker} is ready after ${decision.after} ms`;
    case 'exit':
      return `worker ${decision.worker} ended after ${decision.uptime} ms: ${describeExit(decision)}`;
    case 'backoff':
      return `worker ${decision.worker} failed ${decision.failures} times; starting again in ${decision.delay} ms`;
    case 'refused':
      return `worker ${decision.worker} cannot be started (${decision.code}); trying again`;
    case 'done':
      return `worker ${decision.worker} is not started again`;
    case 'end':
      return `worker ${decision.worker} gets ${decision.signal}: ${decision.cause}`;
    case 'kill':
      return `worker ${decision.worker} did not end in time and is killed`;
    case 'replace':
      return `worker ${decision.worker} is being replaced: ${decision.reason}`;
    case 'replacement-failed':
      return `worker ${decision.worker} stays: its replacement failed (${decision.reason})`;
    case 'unhealthy':
      return `worker ${decision.worker} fails its checks: ${decision.error}`;
    case 'alarm':
      return `worker ${decision.worker} passes its limit of ${decision.resource}: ${amount(decision.resource, decision.value)}, more than ${amount(decision.resource, decision.limit)}`;
    case 'alarm-over':
      return `worker ${decision.worker} keeps its limit of ${decision.resource} again: ${amount(decision.resource, decision.value)}`;
    case 'alarm-failed':
      return `nobody was told of an alarm: ${decision.error}`;
    case 'no-limits':
      return decision.error;
    case 'schedule':
      return `workers will be replaced at ${decision.next}`;
    case 'gave-up':
      return `giving up with code ${decision.code}: ${decision.error}`;
    case 'serving':
      return `all ${decision.workers} workers are ready`;
    case 'recycled':
      return 'all workers were replaced';
    case 'scale':
      return `from ${decision.from} to ${decision.to} workers`;
    case 'image-start':
      return `image ${decision.image} of the program started with pid ${decision.imagePid}: ${decision.reason}`;
    case 'image-serves':
      return `image ${decision.image} serves after ${decision.after} ms`;
    case 'image-parked':
      return `image ${decision.image} serves no more, and is kept for a rollback`;
    case 'image-failed':
      return `image ${decision.image} failed before it served: ${decision.error}`;
    case 'image-exit':
      return `image ${decision.image} ended: ${decision.error}`;
    case 'companion-exit':
      return `${decision.companion} ended, and is started again in ${decision.delay} ms: ${decision.error}`;
    case 'config':
      return `configuration ${decision.config} is in force: ${decision.changed.join(', ')}`;
    case 'config-refused':
      return `the configuration before stays in force: ${decision.error}`;
    case 'no-control':
      return `nobody can ask how the workers are: ${decision.error}`;
    case 'no-cgroup':
      return `workers get no control groups of their own: ${decision.error}`;
    case 'no-manager':
      return decision.error;
    case 'give-up':
      return `worker ${decision.worker} failed ${decision.failures} times: giving up with code ${decision.code}`;
    case 'stop':
      return `stopping: ${decision.by}`;
    case 'stopped':
      return `ended with code ${decision.code}`;
    case 'failed':
      return 'the supervisor failed: please report this';
  }
}

/** What is measured of a worker, with its unit. */
function amount(resource: Resource, value: number): string {
  switch (resource) {
    case 'memory':
      return `${Math.round(value / 2 ** 20)} MiB`;
    case 'cpu':
      return `${value.toFixed(2)} processors`;
    case 'event-loop delay':
      return `${Math.round(value)} ms`;
    case 'descriptors':
      return `${Math.round(value * 100)} %`;
  }
}
