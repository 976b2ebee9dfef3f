// timers/promises: delays, an interval iterator, the scheduler; one of each pending at the midpoint.
import { scheduler, setImmediate as immediate, setInterval as interval, setTimeout as delay } from 'node:timers/promises';

const pending = delay(20, 'delayed');
const controller = new AbortController();
const aborted = delay(60_000, null, { signal: controller.signal }).catch((error) => error.code);
const ticks = interval(2, 'tick');
const first = await ticks.next();
await globalThis.midpoint?.();
controller.abort();
console.log(first, await pending, await aborted, await immediate('immediate'));
let count = 0;
for await (const value of ticks) if (++count === 3) { console.log(value, count); break; }
await scheduler.wait(2);
await scheduler.yield();
console.log('waited');
