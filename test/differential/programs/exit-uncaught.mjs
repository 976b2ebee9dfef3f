// process: an uncaught exception in a timer that was pending at the midpoint: message, stack, code 1.
process.on('exit', (code) => console.log('exit', code));
let waiting = false;
const timer = setInterval(function alarm() {
  if (waiting) throw new RangeError('out of range, on purpose');
}, 20);
await globalThis.midpoint?.();
waiting = timer.hasRef();
console.log('waiting');
