// WebAssembly: a function made before the midpoint and tiered up after it, a large compile in flight, a trap.
const leb = (number) => (number < 128 ? [number] : [(number & 127) | 128, ...leb(number >> 7)]);
const sized = (bytes) => [...leb(bytes.length), ...bytes];
const section = (id, items) => [id, ...sized([...leb(items.length), ...items.flat()])];
const name = (text) => [text.length, ...Buffer.from(text)];
// (n, factor) => { do { sum = sum * factor + n } while (--n); return sum }, and a division that may trap.
const loop = [1, 1, 127, 3, 64, 32, 2, 32, 1, 108, 32, 0, 106, 33, 2, 32, 0, 65, 1, 107, 34, 0, 13, 0, 11, 32, 2, 11];
const divide = [0, 32, 0, 32, 1, 109, 11];
const binary = (copies) =>
  Uint8Array.from([
    ...[0, 97, 115, 109, 1, 0, 0, 0],
    ...section(1, [[96, 2, 127, 127, 1, 127]]),
    ...section(3, Array(copies + 1).fill([0])),
    ...section(7, [[...name('loop'), 0, 0], [...name('divide'), 0, ...leb(copies)]]),
    ...section(10, [...Array(copies).fill(sized(loop)), sized(divide)]),
  ]);

const { exports: small } = new WebAssembly.Instance(new WebAssembly.Module(binary(1)));
const before = small.loop(1000, 31);
const pending = WebAssembly.instantiate(binary(3000));
await globalThis.midpoint?.();
console.log(before, small.loop(1000, 31), small.loop(5_000_000, 17), small.divide(42, -6));
const { instance, module } = await pending;
console.log(instance.exports.loop(1_000_000, 13), WebAssembly.Module.exports(module).map((item) => item.name).join());
try {
  instance.exports.divide(1, 0);
} catch (error) {
  console.log(error instanceof WebAssembly.RuntimeError, error.message);
}
