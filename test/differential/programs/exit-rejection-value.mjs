// process: an unhandled rejection with a value that is no Error.
process.on('exit', (code) => console.log('exit', code));
await globalThis.midpoint?.();
setImmediate(() => {
  Promise.reject({ reason: 'plain object' });
});
