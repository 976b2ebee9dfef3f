// process: exit(7) from a timer; nothing that is still pending runs.
process.on('exit', (code) => {
  console.log('exit', code);
  setImmediate(() => console.log('never'));
});
setTimeout(() => console.log('never'), 60_000);
await globalThis.midpoint?.();
setTimeout(() => {
  console.log('leaving');
  process.exit(7);
}, 5);
