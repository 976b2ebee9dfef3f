// punycode, sys and the legacy parts of url and querystring, without their deprecation warnings.
process.noDeprecation = true;
const { default: punycode } = await import('node:punycode');
const { default: sys } = await import('node:sys');
const { default: url } = await import('node:url');

const encoded = punycode.toASCII('mañana.例え.com');
await globalThis.midpoint?.();
console.log(encoded, punycode.toUnicode(encoded), punycode.decode('maana-pta'), punycode.ucs2.decode('🐚'));
console.log(sys.format('%s=%d', 'a', 1), sys.inspect({ a: [1] }));
console.log(url.resolve('http://a/b/c', '../d?e=f'), url.parse('mailto:a@b.c').auth);
