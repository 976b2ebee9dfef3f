// domain: errors thrown in a timer and emitted by an emitter end up in the domain.
import domain from 'node:domain';
import { EventEmitter } from 'node:events';

const lines = [];
const area = domain.create();
const emitter = new EventEmitter();
area.add(emitter);
const all = new Promise((resolve) => {
  area.on('error', (error) => {
    lines.push(`${error.message} (${error.domainThrown ? 'thrown' : 'emitted'})`);
    if (lines.length === 3) resolve();
  });
});
area.run(() => {
  setTimeout(() => {
    throw new Error('from a timer');
  }, 20);
});
await globalThis.midpoint?.();
emitter.emit('error', new Error('from an emitter'));
const bound = area.intercept(() => lines.push('not reached'));
bound(new Error('intercepted'));
await all;
console.log(lines.sort().join('\n'));
