// What was seen, as metrics of Prometheus.

import type * as client from 'prom-client';
import type { SupervisorStatus } from '../supervise/status.js';
import type { CheckResult } from './checks.js';
import type { ProcessReport } from './report.js';
import type { Sight } from './view.js';

export type PrometheusClient = typeof client;

type Labels = Record<string, string>;

/** A registry that is made for one answer: what a worker that is gone has measured goes with it. */
class Page {
  readonly registry: client.Registry;
  readonly #client: PrometheusClient;

  constructor(prometheus: PrometheusClient) {
    this.#client = prometheus;
    this.registry = new prometheus.Registry();
  }

  /** What can go up and down. */
  gauge(name: string, help: string, values: [labels: Labels, value: number | null][]): void {
    this.#add(this.#client.Gauge, name, help, values, (metric, labels, value) =>
      metric.set(labels, value),
    );
  }

  /** What only grows. */
  counter(name: string, help: string, values: [labels: Labels, value: number | null][]): void {
    this.#add(this.#client.Counter, name, help, values, (metric, labels, value) =>
      metric.inc(labels, value),
    );
  }

  #add<M>(
    Metric: new (options: {
      name: string;
      help: string;
      labelNames: string[];
      registers: client.Registry[];
    }) => M,
    name: string,
    help: string,
    values: [labels: Labels, value: number | null][],
    set: (metric: M, labels: Labels, value: number) => void,
  ): void {
    const known = values.filter((pair): pair is [Labels, number] => pair[1] !== null);
    if (known.length === 0) return;
    const labelNames = Object.keys(known[0]![0]);
    const metric = new Metric({ name, help, labelNames, registers: [this.registry] });
    for (const [labels, value] of known) set(metric, labels, value);
  }
}

/** @param sight of a process is left to prom-client's own metrics, but for its checks */
export function metricsOf(prometheus: PrometheusClient, sight: Sight): client.Registry {
  const page = new Page(prometheus);
  page.gauge('doublefork_up', 'Whether the supervisor answers, or the process.', [
    [{}, sight.kind === 'lost' ? 0 : 1],
  ]);
  if (sight.kind === 'service') addService(page, sight.status);
  if (sight.kind === 'process') addProcess(page, [[{}, sight.report]]);
  return page.registry;
}

function addService(page: Page, status: SupervisorStatus): void {
  const { workers, image } = status;
  page.gauge('doublefork_uptime_seconds', 'Since the supervisor was started.', [
    [{}, status.uptime / 1000],
  ]);
  page.gauge('doublefork_image_number', 'Which image of the program serves; the first one is 1.', [
    [{}, image.number],
  ]);
  page.gauge('doublefork_supervisor_resident_memory_bytes', 'Of the supervisor.', [
    [{}, status.rss],
  ]);
  page.counter('doublefork_restarts_total', 'Workers that were started again.', [
    [{}, status.restarts],
  ]);
  page.counter(
    'doublefork_exits_total',
    'Processes of workers that have ended, by how.',
    Object.entries(status.exits).map(([reason, count]) => [{ reason }, count]),
  );
  const of = <T>(value: (worker: (typeof workers)[number]) => T) =>
    workers.map((worker): [Labels, T] => [{ worker: String(worker.id) }, value(worker)]);
  page.gauge(
    'doublefork_worker_ready',
    'Whether the worker serves.',
    of(({ state }) => Number(state === 'ready' || state === 'replacing')),
  );
  page.gauge(
    'doublefork_worker_generation',
    'Which process of this worker it is; the first one is 1.',
    of(({ generation }) => generation),
  );
  page.counter(
    'doublefork_worker_restarts_total',
    'How often the worker was started again.',
    of(({ restarts }) => restarts),
  );
  page.gauge(
    'doublefork_worker_uptime_seconds',
    'Since the process of the worker was started.',
    of(({ uptime }) => seconds(uptime)),
  );
  page.counter(
    'doublefork_worker_cpu_seconds_total',
    'Processor time of the process of the worker.',
    of(({ cpu }) => seconds(cpu)),
  );
  page.gauge(
    'doublefork_worker_resident_memory_bytes',
    'Resident memory, what it shares with others included.',
    of(({ rss }) => rss),
  );
  addProcess(
    page,
    of(({ health }) => health as ProcessReport | null),
    'worker_',
  );
}

const seconds = (ms: number | null) => (ms === null ? null : ms / 1000);

function addProcess(
  page: Page,
  reports: [labels: Labels, report: ProcessReport | null][],
  of = '',
): void {
  const known = reports.filter((pair): pair is [Labels, ProcessReport] => pair[1] !== null);
  const each = (value: (report: ProcessReport) => number | null) =>
    known.map(([labels, report]): [Labels, number | null] => [labels, value(report)]);
  page.gauge(
    `doublefork_${of}event_loop_delay_seconds`,
    'How much later than asked for the event loop turns, since the report before.',
    known.flatMap(([labels, { loopDelay }]) =>
      Object.entries(loopDelay).map(([stat, ms]): [Labels, number] => [
        { ...labels, stat },
        ms / 1000,
      ]),
    ),
  );
  page.gauge(
    `doublefork_${of}heap_used_bytes`,
    'What of V8’s heap is in use.',
    each(({ memory }) => memory.heapUsed),
  );
  page.gauge(
    `doublefork_${of}external_memory_bytes`,
    'Memory of Buffers and the like.',
    each(({ memory }) => memory.external),
  );
  page.counter(
    `doublefork_${of}gc_seconds_total`,
    'Time spent on garbage collection.',
    each(({ garbage }) => garbage.time / 1000),
  );
  page.counter(
    `doublefork_${of}gc_runs_total`,
    'Garbage collections.',
    each(({ garbage }) => garbage.runs),
  );
  page.gauge(
    `doublefork_${of}open_descriptors`,
    'Open descriptors.',
    each(({ descriptors }) => descriptors),
  );
  const checks = (value: (result: CheckResult) => number) =>
    known.flatMap(([labels, report]) =>
      Object.entries(report.checks).map(([check, result]): [Labels, number] => [
        { ...labels, check },
        value(result),
      ]),
    );
  page.gauge(
    `doublefork_${of}check_ok`,
    'Whether what the program checks is in order.',
    checks(({ ok }) => Number(ok)),
  );
  page.gauge(
    `doublefork_${of}check_duration_seconds`,
    'How long the check took.',
    checks(({ duration }) => duration / 1000),
  );
}
