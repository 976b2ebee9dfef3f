// util and util/types: promisify, callbackify, inherits, parseArgs, MIME types, kinds of values.
import util from 'node:util';
import types from 'node:util/types';

const slow = (value, callback) => setTimeout(callback, 10, value < 0 ? new Error('negative') : null, value * 2);
const pending = util.promisify(slow)(21);
const called = new Promise((resolve) => util.callbackify(async (value) => value)('called back', (_, value) => resolve(value)));
const controller = new AbortController();
const aborted = util.aborted(controller.signal, pending);
await globalThis.midpoint?.();
controller.abort();
console.log(await pending, await called, (await aborted).type);
console.log(await util.promisify(slow)(-1).catch((error) => error.message));
const options = { verbose: { type: 'boolean', short: 'v' }, name: { type: 'string', multiple: true } };
const { values, positionals } = util.parseArgs({ args: ['-v', '--name=a', '--name', 'b', 'rest'], options, allowPositionals: true });
console.log({ ...values }, positionals, String(new util.MIMEType('text/html; charset=utf-8; q="a b"')));
console.log(types.isProxy(new Proxy({}, {})), types.isAsyncFunction(async () => {}), types.isExternal({}), types.isModuleNamespaceObject(await import('node:fs')));
console.log(types.isGeneratorObject((function* g() {})()), types.isSharedArrayBuffer(new SharedArrayBuffer(1)), types.isBoxedPrimitive(Object(1)));
function Old() {}
util.inherits(Old, Array);
console.log(new Old() instanceof Array, util.types === types, util.debuglog('none').enabled, new util.TextEncoder().encode('é'));
