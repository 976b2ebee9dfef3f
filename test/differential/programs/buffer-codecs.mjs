// buffer: encodings, integers, searching, swapping and transcoding.
import { Buffer, atob, btoa, constants, isAscii, isUtf8, transcode } from 'node:buffer';

const text = 'Dämon – δαίμων – 鬼 🐚';
const buffer = Buffer.from(text);
const encodings = ['utf8', 'utf16le', 'latin1', 'ascii', 'base64', 'base64url', 'hex'];
const copies = encodings.map((encoding) => Buffer.from(text, encoding));
await globalThis.midpoint?.();
encodings.forEach((encoding, index) => {
  console.log(encoding, copies[index].length, buffer.toString(encoding));
});
const numbers = Buffer.alloc(32);
numbers.writeDoubleBE(Math.PI, 0);
numbers.writeBigUInt64LE(0x0123456789abcdefn, 8);
numbers.writeInt32BE(-42, 16);
numbers.writeUIntLE(0xabcdef012345, 20, 6);
console.log(numbers.toString('hex'));
console.log(numbers.readDoubleBE(0), numbers.readBigInt64LE(8), numbers.readInt32BE(16));
console.log(Buffer.from(numbers).swap16().swap32().swap64().toString('hex'));
console.log(buffer.indexOf('鬼'), buffer.includes('🐚'), buffer.lastIndexOf('–'));
console.log(isUtf8(buffer), isAscii(buffer), atob(btoa('plain')), constants.MAX_LENGTH > 2 ** 30);
console.log(transcode(Buffer.from('€'), 'utf8', 'utf16le').toString('hex'));
console.log(Buffer.compare(Buffer.from('a'), Buffer.from('b')), buffer.equals(Buffer.from(text)));
