// zlib: gzip, deflate, brotli (and zstd, where there is one) streams half-way at the midpoint.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import zlib from 'node:zlib';

const text = Array.from({ length: 20_000 }, (_, index) => `line ${(index * 7919) % 1000}`).join('\n');
const names = ['Gzip', 'Deflate', 'DeflateRaw', 'BrotliCompress', 'ZstdCompress'].filter((name) => zlib[`create${name}`]);
const streams = names.map((name) => zlib[`create${name}`]());
const outputs = streams.map((stream) => buffer(stream));
for (const stream of streams) if (!stream.write(text.slice(0, 90_000))) await once(stream, 'drain');
for (const stream of streams) stream.write(text.slice(90_000, 120_000));
await globalThis.midpoint?.();
const inverse = { Gzip: 'gunzip', Deflate: 'inflate', DeflateRaw: 'inflateRaw', BrotliCompress: 'brotliDecompress', ZstdCompress: 'zstdDecompress' };
for (const [index, stream] of streams.entries()) {
  stream.end(text.slice(120_000));
  const packed = await outputs[index];
  const back = zlib[`${inverse[names[index]]}Sync`](packed).toString();
  console.log(names[index], packed.length < text.length / 2, back === text, createHash('md5').update(packed).digest('hex'));
}
