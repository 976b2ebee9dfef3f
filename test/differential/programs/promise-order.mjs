// promises: microtasks, nextTicks, immediates and queueMicrotask run in their order after the midpoint.
const order = [];
const later = Promise.withResolvers?.() ?? {};
const combined = [
  Promise.all([1, Promise.resolve(2)]),
  Promise.allSettled([Promise.reject(new Error('no')), 3]),
  Promise.race([new Promise(() => {}), Promise.resolve('fast')]),
  Promise.any([Promise.reject(new Error('no')), Promise.resolve('any')]),
];
await globalThis.midpoint?.();
await new Promise((resolve) => {
  setImmediate(() => {
    order.push('immediate');
    setImmediate(() => {
      order.push('second immediate');
      resolve();
    });
    process.nextTick(() => order.push('tick in immediate'));
    Promise.resolve().then(() => order.push('microtask in immediate'));
  });
  process.nextTick(() => {
    order.push('tick');
    queueMicrotask(() => order.push('microtask in tick'));
    process.nextTick(() => order.push('tick in tick'));
  });
  Promise.resolve()
    .then(() => order.push('then'))
    .then(() => order.push('then then'));
  queueMicrotask(() => order.push('microtask'));
  order.push('sync');
});
later.resolve?.();
console.log(order.join('\n'));
console.log(JSON.stringify(await Promise.all(combined)));
