// perf_hooks: a recordable histogram filled on both sides of the midpoint; the event loop is measured.
import perf, { createHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';

const histogram = createHistogram();
for (let value = 1; value <= 100; value++) histogram.record(value);
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const utilization = performance.eventLoopUtilization();
await globalThis.midpoint?.();
for (let value = 101; value <= 200; value++) histogram.record(value);
console.log(histogram.count, histogram.min, histogram.max, histogram.mean, histogram.percentile(50));
// Not for so long: a process that is held up meanwhile measures nothing.
while (delay.count === 0) await new Promise((resolve) => setTimeout(resolve, 1));
delay.disable();
console.log(delay.count > 0, delay.max >= delay.min);
const difference = performance.eventLoopUtilization(utilization);
console.log(difference.utilization >= 0, difference.utilization <= 1);
console.log((perf.timerify ?? performance.timerify)((a, b) => a + b)(1, 2));
