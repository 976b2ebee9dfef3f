// v8: the serializer's bytes and their way back; objects serialized before, read after the midpoint.
import v8 from 'node:v8';

const value = { list: [1, -2.5, 3n, 'ü', '鬼'], map: new Map([['k', new Set([null])]]), when: new Date(0), view: new Uint16Array([1, 2]) };
value.self = value;
const bytes = v8.serialize(value);
const serializer = new v8.Serializer();
serializer.writeHeader();
serializer.writeUint32(7);
serializer.writeValue({ early: true });
await globalThis.midpoint?.();
serializer.writeDouble(Math.E);
serializer.writeValue(['late']);
const copy = v8.deserialize(bytes);
console.log(copy.self === copy, copy.list, copy.map, copy.when, copy.view, bytes.length);
const buffer = serializer.releaseBuffer();
const deserializer = new v8.Deserializer(buffer);
console.log(buffer.toString('hex'), deserializer.readHeader());
console.log(deserializer.readUint32(), deserializer.readValue(), deserializer.readDouble(), deserializer.readValue());
