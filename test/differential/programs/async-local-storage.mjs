// AsyncLocalStorage: the store of a promise, a timer, an emitter and a snapshot made before the midpoint.
import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';

const storage = new AsyncLocalStorage();
const emitter = new EventEmitter();
const lines = [];
const timer = storage.run('timer', () =>
  new Promise((resolve) =>
    setTimeout(() => {
      lines.push(`timer: ${storage.getStore()}`);
      resolve();
    }, 20),
  ),
);
const snapshot = storage.run('snapshot', () => AsyncLocalStorage.snapshot());
emitter.on('event', AsyncLocalStorage.bind(() => lines.push(`unbound: ${storage.getStore()}`)));
await storage.run({ name: 'request' }, async () => {
  await globalThis.midpoint?.();
  lines.push(`after midpoint: ${storage.getStore().name}`);
  emitter.emit('event');
  snapshot(() => lines.push(`snapshot: ${storage.getStore()}`));
  storage.exit(() => lines.push(`exit: ${storage.getStore()}`));
});
await timer;
storage.enterWith('entered');
await null;
lines.push(`entered: ${storage.getStore()}`);
console.log(lines.sort().join('\n'));
