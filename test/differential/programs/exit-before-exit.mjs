// process: beforeExit fires again after it scheduled more work; then exit, with a code set in between.
process.on('exit', (code) => console.log('exit', code));
let rounds = 0;
process.on('beforeExit', (code) => {
  console.log('beforeExit', code, rounds);
  if (rounds++ < 2) setTimeout(() => console.log('more work'), 2);
  else process.exitCode = 4;
});
const pending = new Promise((resolve) => setTimeout(resolve, 20, 'timer'));
await globalThis.midpoint?.();
console.log('end of the module');
console.log(await pending);
