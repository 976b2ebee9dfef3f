// process: warnings reach a listener; the default printer (which shows the process id) is taken off.
process.removeAllListeners('warning');
const lines = [];
process.on('warning', (warning) => lines.push(`${warning.name} ${warning.code}: ${warning.message}`));
process.emitWarning('before', { code: 'W1' });
await globalThis.midpoint?.();
process.emitWarning('after', 'OwnWarning', 'W2');
process.emitWarning(Object.assign(new Error('object'), { name: 'ErrorWarning' }));
const { EventEmitter } = await import('node:events');
const emitter = new EventEmitter().setMaxListeners(1);
emitter.on('x', () => {}).on('x', () => {});
await new Promise((resolve) => setImmediate(resolve));
console.log(lines.join('\n'));
