// WeakRef, WeakMap and FinalizationRegistry: what was dropped before the midpoint is finalized after it.
import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');
const finalized = [];
const registry = new FinalizationRegistry((name) => finalized.push(name));
const kept = { name: 'kept' };
const weakMap = new WeakMap([[kept, 'value']]);
const references = (function make() {
  return ['a', 'b', 'c'].map((name) => {
    const object = { name, weight: new Array(1000).fill(name) };
    registry.register(object, name);
    weakMap.set(object, name);
    return new WeakRef(object);
  });
})();
const keptReference = new WeakRef(kept);
await globalThis.midpoint?.();
for (let attempt = 0; attempt < 50 && finalized.length < 3; attempt++) {
  await new Promise((resolve) => setTimeout(resolve, 1));
  gc();
}
console.log(finalized.sort().join(), references.map((reference) => reference.deref()));
console.log(keptReference.deref() === kept, weakMap.get(kept));
