// zlib: synchronous and promised calls, dictionaries, flushing, crc32, corrupt and truncated input.
import { promisify } from 'node:util';
import zlib from 'node:zlib';

const text = Buffer.from('daemon '.repeat(10_000));
const pending = [zlib.gzip, zlib.deflate, zlib.brotliCompress].map((compress) => promisify(compress)(text));
await globalThis.midpoint?.();
const [gzip, deflate, brotli] = await Promise.all(pending);
console.log(gzip.length, deflate.length, brotli.length, zlib.crc32?.('daemon') ?? 'no crc32');
console.log(zlib.gunzipSync(gzip).equals(text), zlib.unzipSync(deflate).equals(text), zlib.brotliDecompressSync(brotli).equals(text));
const dictionary = Buffer.from('daemon supervisor worker');
const small = zlib.deflateSync('supervisor of daemon', { dictionary, level: 9 });
console.log(small.toString('hex'), String(zlib.inflateSync(small, { dictionary })));
for (const [name, bytes] of [['gunzipSync', Buffer.from('not gzip')], ['inflateSync', deflate.subarray(0, 20)], ['inflateSync', small]]) {
  try {
    zlib[name](bytes);
  } catch (error) {
    console.log(name, error.code, error.message);
  }
}
console.log(zlib.gunzipSync(gzip.subarray(0, -8), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).length);
