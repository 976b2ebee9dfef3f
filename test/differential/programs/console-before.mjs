// console: the streams are used before the midpoint and after it (output order within one stream).
// Needs a runner that appends, or joins, what was written before and after.
console.log('out, before');
console.error('err, before');
await globalThis.midpoint?.();
console.log('out, after');
console.error('err, after');
process.stdout.write('written, after\n', () => process.stderr.write('flushed\n'));
