// v8: a heap snapshot taken after the midpoint finds an object that was made before it.
import v8 from 'node:v8';

class NeedleInTheHeap {
  constructor(name) {
    this.name = name;
  }
}
const needles = [new NeedleInTheHeap('a'), new NeedleInTheHeap('b')];
await globalThis.midpoint?.();
let length = 0;
let found = false;
for await (const chunk of v8.getHeapSnapshot()) {
  length += chunk.length;
  found ||= chunk.includes('NeedleInTheHeap');
}
console.log(length > 1e6, found, needles.length);
