// ffi (where the runtime has it): libc's getpid agrees with process.pid after the midpoint.
process.removeAllListeners('warning');
const ffi = await import('node:ffi').catch((error) => error.code);
const library = ffi.dlopen?.('libc.so.6', {
  getpid: { return: 'i32', arguments: [] },
  strlen: { return: 'u64', arguments: ['string'] },
});
await globalThis.midpoint?.();
if (library) {
  console.log(library.functions.getpid() === process.pid, library.functions.strlen('daemon'));
  library.lib.close();
} else {
  console.log(ffi);
}
