// string_decoder: characters cut in two by the midpoint, in every encoding that needs state.
import { StringDecoder } from 'node:string_decoder';

const text = 'a€🐚z';
const cases = ['utf8', 'utf16le', 'base64', 'hex'].map((encoding) => {
  const bytes = Buffer.from(text, encoding === 'utf16le' ? 'utf16le' : 'utf8');
  const decoder = new StringDecoder(encoding);
  return { encoding, bytes, decoder, head: decoder.write(bytes.subarray(0, 5)) };
});
const decoder = new TextDecoder('utf-8');
const head = decoder.decode(Buffer.from('🐚').subarray(0, 2), { stream: true });
await globalThis.midpoint?.();
for (const { encoding, bytes, decoder, head } of cases) {
  console.log(encoding, JSON.stringify(head), JSON.stringify(decoder.write(bytes.subarray(5)) + decoder.end()));
}
console.log(head + decoder.decode(Buffer.from('🐚').subarray(2)), new StringDecoder().end(Buffer.from([0xe2, 0x82])));
