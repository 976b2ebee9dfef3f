// util: inspect in many shapes, format, styleText, deep equality, stripping of control characters.
import util, { format, formatWithOptions, inspect, isDeepStrictEqual, stripVTControlCharacters } from 'node:util';

class Point {
  #hidden = 1;
  constructor(x) {
    this.x = x;
  }
  [inspect.custom](depth, options) {
    return `Point<${this.x}> ${depth} ${options.compact}`;
  }
}
const cyclic = { name: 'cyclic', list: new Array(120).fill(7), nested: { a: { b: { c: {} } } } };
cyclic.self = cyclic;
const pending = new Promise(() => {});
await globalThis.midpoint?.();
console.log(inspect(cyclic, { maxArrayLength: 3, sorted: true }), inspect(new Point(1)), inspect(pending));
console.log(inspect(new Map([[{ a: 1 }, new Set(['x'])]]), { showHidden: true }), inspect(new Proxy({}, {}), { showProxy: true }));
console.log(inspect({ get a() { return 1; }, [Symbol('s')]: 1n, d: new Date(0), f() {}, r: /x/y }, { getters: true }));
console.log(inspect('it\'s "quoted"'), inspect(new Uint8Array(3)), inspect(Object.create(null)), inspect([, 1, , ,]));
console.log(format('%s %d %i %f %j %o %O %c %%', 'a', 1n, 2.9, '3.5', { j: 1 }, [1], { O: 1 }, 'css'), formatWithOptions({ compact: true }, '%O', { a: { b: 1 } }));
console.log(JSON.stringify(inspect({ a: 1 }, { colors: true })), stripVTControlCharacters('\u001b[31mred\u001b[0m'));
console.log(isDeepStrictEqual({ a: [new Set([1])] }, { a: [new Set([1])] }), util.toUSVString('\ud800'), util.styleText?.('red', 'x').length > 1);
