// process: an unhandled rejection of an Error made before the midpoint ends the program with code 1.
function make() {
  Error.stackTraceLimit = 1;
  return new Error('nobody catches this');
}
const doomed = make();
process.on('exit', (code) => console.log('exit', code));
await globalThis.midpoint?.();
setTimeout(() => console.log('never'), 1000);
Promise.reject(doomed);
