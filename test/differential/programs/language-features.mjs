// v8: generators, proxies, private fields, tagged templates, big integers and symbols held over the midpoint.
class Counter {
  #value = 0;
  static made = 0;
  constructor() {
    Counter.made++;
  }
  next() {
    return ++this.#value;
  }
}
function* fibonacci() {
  for (let [a, b] = [0n, 1n]; ; [a, b] = [b, a + b]) yield a;
}
async function* slowly(items) {
  for (const item of items) {
    await null;
    yield item;
  }
}
const counter = new Counter();
counter.next();
const numbers = fibonacci();
for (let index = 0; index < 100; index++) numbers.next();
const log = [];
const proxy = new Proxy({}, { get: (_, name) => (log.push(name), `${String(name)}!`), has: () => true });
const asynchronous = slowly(['a', 'b', 'c']);
await asynchronous.next();
await globalThis.midpoint?.();
console.log(counter.next(), Counter.made, numbers.next().value, proxy.thing, 'any' in proxy, log);
for await (const item of asynchronous) console.log(item);
console.log(((strings, ...values) => strings.raw.join('|') + values)`a\n${1}b${2}`);
console.log(2n ** 200n % 1_000_000_007n, BigInt.asIntN(8, 255n), Symbol.for('x') === Symbol.for('x'));
console.log([3, 1, 2].toSorted(), [1, 2, 3].at(-1), Object.groupBy?.([1, 2, 3], (n) => (n % 2 ? 'odd' : 'even')));
console.log(new Error('outer', { cause: 'inner' }).cause, /(?<year>\d{4})/.exec('in 1999').groups.year);
