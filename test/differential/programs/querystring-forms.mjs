// querystring: parsing, limits, separators and escaping.
import querystring from 'node:querystring';

await globalThis.midpoint?.();
console.log(querystring.parse('a=1&b=2&a=3&empty=&flag&sp=x+y%20z&bad=%zz'));
console.log(querystring.stringify({ a: ['x', 'y'], b: 'ü & =', c: true, d: null, e: 1n }));
console.log(querystring.parse('a:1;b:2', ';', ':', { maxKeys: 1 }), querystring.escape('a b/ç'));
console.log(querystring.unescape('%E2%82%AC'), querystring.decode === querystring.parse);
