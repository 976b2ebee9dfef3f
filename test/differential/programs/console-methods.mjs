// console: tables, groups, counters, formats, assertions, on both streams; a Console of its own.
import { Console } from 'node:console';
import { PassThrough } from 'node:stream';

const sink = new PassThrough();
const own = new Console({ stdout: sink, stderr: sink, inspectOptions: { depth: 0 } });
own.log('before', { a: { b: 1 } });
console.count('visits');
console.group('outer');
await globalThis.midpoint?.();
own.error('after', { a: { b: 1 } });
console.count('visits');
console.log('%s is %d years, %i, %f, %j %o %%', 'it', 42, 4.9, '1.5', { a: 1 }, [1]);
console.group('inner');
console.table([{ name: 'a', size: 1 }, { name: 'b', size: 22 }]);
console.groupEnd();
console.groupEnd();
console.countReset('visits');
console.count('visits');
console.assert(1 === 2, 'one is not %s', 'two');
console.warn('warned');
console.error(new Map([['key', { deep: { deeper: {} } }]]));
console.dir({ a: { b: { c: {} } } }, { depth: 0 });
console.debug([undefined, null, Symbol('s'), 1n, -0]);
process.stdout.write(sink.read());
