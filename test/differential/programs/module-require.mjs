// module: createRequire, JSON, builtins, cyclic and compiled CommonJS modules.
import { writeFileSync } from 'node:fs';
import Module, { builtinModules, createRequire, isBuiltin } from 'node:module';
import { join } from 'node:path';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = temporaryDirectory();
const file = (name, text) => writeFileSync(join(directory, name), text);
file('a.cjs', 'exports.early = 1; exports.b = require("./b.cjs"); exports.late = 2;');
file('b.cjs', 'const a = require("./a.cjs"); module.exports = { sawEarly: a.early, sawLate: "late" in a };');
file('data.json', '{ "from": "json" }');
file('late.cjs', 'module.exports = require.main === module;');
const require = createRequire(join(directory, 'x.cjs'));
const first = require('./a.cjs');
await globalThis.midpoint?.();
console.log(first, require('./a.cjs') === first, require('./data.json'), require('./late.cjs'));
console.log(builtinModules.includes('fs'), isBuiltin('node:test'), isBuiltin('left-pad'));
const compiled = new Module('virtual');
compiled._compile('module.exports = typeof require + __filename', 'virtual.cjs');
console.log(compiled.exports, Module.findSourceMap('virtual.cjs'));
console.log((await import('data:text/javascript,export default import.meta.url.length')).default);
try {
  require('./absent.cjs');
} catch (error) {
  console.log(error.code);
}
