// process: an exit handler that overrides the code.
process.on('exit', (code) => {
  console.log('first', code);
  process.exitCode = 21;
});
process.on('exit', () => console.log('second', process.exitCode));
await globalThis.midpoint?.();
process.exit(2);
