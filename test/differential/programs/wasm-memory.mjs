// WebAssembly: memory, table and global shared with JavaScript keep their contents and still grow.
const memory = new WebAssembly.Memory({ initial: 1, maximum: 10 });
const shared = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
const table = new WebAssembly.Table({ initial: 2, element: 'externref' });
const counter = new WebAssembly.Global({ value: 'i64', mutable: true }, 41n);
new Uint8Array(memory.buffer).set([1, 2, 3], 65_530);
new Uint8Array(shared.buffer)[5] = 55;
table.set(0, { kept: true });
await globalThis.midpoint?.();
counter.value += 1n;
console.log(memory.grow(3), memory.buffer.byteLength, new Uint8Array(memory.buffer).slice(65_530, 65_534).join());
console.log(shared.grow(1), shared.buffer.byteLength, new Uint8Array(shared.buffer)[5], shared.buffer.constructor.name);
console.log(table.get(0), table.grow(2), table.length, counter.value);
try {
  memory.grow(100);
} catch (error) {
  console.log(error.name);
}
const broken = await WebAssembly.compile(new Uint8Array([0, 0x61, 0x73, 0x6d, 9, 9, 9, 9])).catch((error) => error);
console.log(broken.name, broken.message);
