// stream/web: CompressionStream and DecompressionStream with the input half given at the midpoint.
import { CompressionStream, DecompressionStream } from 'node:stream/web';

for (const format of ['gzip', 'deflate', 'deflate-raw']) {
  const compression = new CompressionStream(format);
  const writer = compression.writable.getWriter();
  const output = new Response(compression.readable.pipeThrough(new DecompressionStream(format))).text();
  await writer.write(Buffer.from('before '.repeat(5000)));
  if (format === 'deflate') await globalThis.midpoint?.();
  await writer.write(Buffer.from('after '.repeat(5000)));
  await writer.close();
  const text = await output;
  console.log(format, text.length, text.slice(0, 7), text.slice(-6));
}
