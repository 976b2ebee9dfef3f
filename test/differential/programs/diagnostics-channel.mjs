// diagnostics_channel: subscribers from before the midpoint hear messages after it; tracing channels.
import { channel, hasSubscribers, tracingChannel } from 'node:diagnostics_channel';

const lines = [];
const jobs = channel('differential.jobs');
const listener = (message, name) => lines.push(`${String(name)}: ${message.id}`);
jobs.subscribe(listener);
const tracing = tracingChannel('differential.work');
tracing.subscribe({
  start: (context) => lines.push(`start ${context.id}`),
  end: (context) => lines.push(`end ${context.id} ${context.result}`),
  asyncStart: (context) => lines.push(`asyncStart ${context.id}`),
  asyncEnd: (context) => lines.push(`asyncEnd ${context.id} ${context.result}`),
  error: (context) => lines.push(`error ${context.error.message}`),
});
const traced = tracing.tracePromise(() => new Promise((resolve) => setTimeout(resolve, 10, 'done')), { id: 1 });
await globalThis.midpoint?.();
await traced;
jobs.publish({ id: 'published' });
tracing.traceSync(() => 'sync', { id: 2 });
jobs.unsubscribe(listener);
lines.push(`subscribers: ${hasSubscribers('differential.jobs')}`);
console.log(lines.join('\n'));
