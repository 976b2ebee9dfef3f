// events: order of listeners, once, prepend, capture of rejections, async iteration over the midpoint.
import { EventEmitter, errorMonitor, getEventListeners, on, once } from 'node:events';

const emitter = new EventEmitter({ captureRejections: true });
const lines = [];
emitter.on('step', (name) => lines.push(`second ${name}`));
emitter.prependListener('step', (name) => lines.push(`first ${name}`));
emitter.once('step', (name) => lines.push(`only once ${name}`));
emitter.emit('step', 'a');
const iterator = on(emitter, 'item', { close: ['end'] });
emitter.emit('item', 1);
const waiting = once(emitter, 'later');
await globalThis.midpoint?.();
emitter.emit('step', 'b');
emitter.emit('item', 2);
emitter.emit('item', 3);
emitter.emit('end');
for await (const [item] of iterator) lines.push(`item ${item}`);
emitter.emit('later', 'x', 'y');
lines.push((await waiting).join());
emitter.on(errorMonitor, (error) => lines.push(`monitored ${error.message}`));
emitter.on('job', async () => {
  throw new Error('rejected');
});
const rejected = new Promise((resolve) => emitter.once('error', resolve));
emitter.emit('job');
lines.push((await rejected).message, getEventListeners(emitter, 'step').length, emitter.eventNames().length);
console.log(lines.join('\n'));
