// structuredClone: cycles, typed arrays, maps, errors, transfer; what cannot be cloned.
const original = { date: new Date(0), map: new Map([[{ a: 1 }, new Set([1n])]]), regexp: /x/gi, sparse: [, 1] };
original.self = original;
original.error = new RangeError('cloned', { cause: 'cause' });
original.view = new Float32Array([1.5, -2.5]).subarray(1);
const before = structuredClone(original);
await globalThis.midpoint?.();
const after = structuredClone(before);
delete after.error.stack;
console.log(after.self === after, after.date, after.map, after.regexp, after.sparse, after.view);
console.log(after.error.name, after.error.message, after.error instanceof RangeError);
const buffer = new ArrayBuffer(8);
const moved = structuredClone(buffer, { transfer: [buffer] });
console.log(buffer.byteLength, moved.byteLength);
try {
  structuredClone({ method() {} });
} catch (error) {
  console.log(error.name, error.code, error.message);
}
