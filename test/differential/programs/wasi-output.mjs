// wasi: a hand-made module writes to stdout through WASI and exits with a code; compiled before the midpoint.
process.removeAllListeners('warning');
const { WASI } = await import('node:wasi');
const text = Buffer.from('written by wasm\n');
const string = (name) => [name.length, ...Buffer.from(name)];
const section = (id, ...bytes) => [id, bytes.length, ...bytes];
const bytes = Uint8Array.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  ...section(1, 3, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 0, 0x60, 0, 0),
  ...section(2, 2, ...string('wasi_snapshot_preview1'), ...string('fd_write'), 0, 0, ...string('wasi_snapshot_preview1'), ...string('proc_exit'), 0, 1),
  ...section(3, 1, 2),
  ...section(5, 1, 0, 1),
  ...section(7, 2, ...string('memory'), 2, 0, ...string('_start'), 0, 2),
  ...section(10, 1, 17, 0, 0x41, 1, 0x41, 0, 0x41, 1, 0x41, 8, 0x10, 0, 0x1a, 0x41, 7, 0x10, 1, 0x0b),
  ...section(11, 2, 0, 0x41, 0, 0x0b, 8, 16, 0, 0, 0, text.length, 0, 0, 0, 0, 0x41, 16, 0x0b, text.length, ...text),
]);
const module = await WebAssembly.compile(bytes);
const wasi = new WASI({ version: 'preview1', args: ['program'], returnOnExit: true });
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
await globalThis.midpoint?.();
console.log('code', wasi.start(instance));
