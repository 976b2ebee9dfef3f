// timers: timeouts of many lengths pending at the midpoint fire in order of their due times.
import timers from 'node:timers';

const order = [];
// Ascending, as each timer starts at the moment it is made: under load, a later 10 may be due after an earlier 25.
const all = [1, 5, 5, 10, 15, 20, 25, 30].map(
  (milliseconds, index) =>
    new Promise((resolve) => timers.setTimeout(() => resolve(order.push(`${milliseconds}#${index}`)), milliseconds)),
);
const cleared = setTimeout(() => order.push('cleared'), 60_000);
const refreshed = setTimeout(() => order.push('refreshed'), 60_000);
const lone = setTimeout(() => order.push('unreferenced'), 60_000).unref();
await globalThis.midpoint?.();
clearTimeout(cleared);
clearTimeout(refreshed.refresh());
await Promise.all(all);
console.log(order.join(' '), lone.hasRef(), typeof lone[Symbol.toPrimitive]());
let ticks = 0;
await new Promise((resolve) => {
  const interval = timers.setInterval((unit) => {
    ticks += unit;
    if (ticks === 6) resolve(timers.clearInterval(interval));
  }, 1, 2);
});
const again = setTimeout(() => console.log('after refresh', ticks), 2);
again.refresh();
timers.clearImmediate(timers.setImmediate(() => console.log('never')));
