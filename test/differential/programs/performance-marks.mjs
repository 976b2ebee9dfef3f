// perf_hooks: marks and measures from both sides, seen by an observer made before the midpoint.
import { PerformanceObserver, performance } from 'node:perf_hooks';

const seen = [];
let notify;
const complete = new Promise((resolve) => {
  notify = resolve;
});
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) seen.push(`${entry.entryType} ${entry.name} ${JSON.stringify(entry.detail)}`);
  if (seen.length === 3) notify();
});
observer.observe({ entryTypes: ['mark', 'measure'] });
const origin = performance.timeOrigin;
performance.mark('before', { detail: { side: 1 } });
await globalThis.midpoint?.();
performance.mark('after');
const measure = performance.measure('across', 'before', 'after');
await complete;
observer.disconnect();
console.log(seen.sort().join('\n'));
console.log(performance.getEntriesByType('mark').map((entry) => entry.name).join());
console.log(measure.duration >= 0, origin === performance.timeOrigin, performance.now() > 0);
console.log(performance.getEntriesByName('across').length, performance.toJSON().timeOrigin === origin);
performance.clearMarks();
console.log(performance.getEntriesByType('mark').length);
