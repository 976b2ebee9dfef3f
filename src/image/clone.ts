// Values as bytes, so that they arrive as what they were: structured clone, less what that changes in silence.

import { integer } from '../posix/errors.js';

const { types } = process.getBuiltinModule('node:util');

/**
 * What structured clone makes of it.
 * @param name what the value is called in an error
 * @param most bytes
 * @throws ERR_INVALID_ARG_VALUE, with the place in the value, for what would not arrive as it is: a function, a
 * symbol, an instance of a class, a promise, memory that is shared; ERR_OUT_OF_RANGE if it is too long
 */
export function encodeValue(value: unknown, name: string, most: number): Buffer {
  refuseWhatWouldChange(value, name);
  let bytes: Buffer;
  try {
    bytes = process.getBuiltinModule('node:v8').serialize(value);
  } catch (error) {
    throw notCloneable(name, (error as Error).message);
  }
  integer(bytes.length, `the length of ${name} in bytes`, 0, most);
  return bytes;
}

/** @throws if another release of Node has written it, whose format this one does not know */
export function decodeValue(bytes: Buffer): unknown {
  return process.getBuiltinModule('node:v8').deserialize(bytes);
}

function notCloneable(place: string, why: string): Error {
  return Object.assign(new TypeError(`${place} cannot be handed over: ${why}`), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
}

/** An object, and how it was come by. */
interface Place {
  parent: object | undefined;
  key: string;
}

function refuseWhatWouldChange(root: unknown, name: string): void {
  const seen = new Map<object, Place>();
  const ahead: object[] = [];
  const visit = (value: unknown, parent: object | undefined, key: string) => {
    const why = whyNot(value);
    if (why !== undefined) throw notCloneable(pathOf(seen, parent, key), why);
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.set(value, { parent, key });
    ahead.push(value);
  };
  visit(root, undefined, name);
  // Not by recursion: a list may be longer than the stack.
  for (let object = ahead.pop(); object !== undefined; object = ahead.pop()) {
    for (const [key, inner] of partsOf(object)) visit(inner, object, key);
  }
}

function* partsOf(object: object): Generator<[key: string, value: unknown]> {
  if (object instanceof Map) {
    for (const [key, value] of object) {
      const name = typeof key === 'object' ? '{}' : JSON.stringify(String(key));
      yield [`.keys().find(${name})`, key];
      yield [`.get(${name})`, value];
    }
  } else if (object instanceof Set) {
    let index = 0;
    for (const value of object) yield [`.values()[${index++}]`, value];
  } else if (!ArrayBuffer.isView(object)) {
    for (const [key, value] of Object.entries(object)) {
      yield [Array.isArray(object) ? `[${key}]` : `.${key}`, value];
    }
  }
}

function pathOf(seen: ReadonlyMap<object, Place>, parent: object | undefined, key: string): string {
  let path = key;
  for (let at = parent; at !== undefined; ) {
    const place = seen.get(at)!;
    path = `${place.key}${path}`;
    at = place.parent;
  }
  return path;
}

/** What an Error has that arrives. */
const OF_ERRORS: ReadonlySet<string> = new Set(['message', 'stack', 'cause']);

/** What is known by its prototype, and arrives as it is. */
const KNOWN: ReadonlySet<object | null> = new Set(
  [
    null,
    ...[
      Object,
      Array,
      Map,
      Set,
      Date,
      RegExp,
      Boolean,
      Number,
      String,
      BigInt,
      ArrayBuffer,
      Buffer,
    ],
    ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, DataView],
    ...[Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array, Uint8ClampedArray],
    ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array],
  ].map((it) => (typeof it === 'function' ? (it.prototype as object) : it)),
);

function whyNot(value: unknown): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `it is a ${typeof value}`;
  if (typeof value !== 'object' || value === null) return undefined;
  if (types.isProxy(value)) return 'it is a Proxy';
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (!KNOWN.has(prototype) && !isPlainElsewhere(prototype)) {
    const { name = 'a class' } = (value.constructor ?? {}) as { name?: string };
    return `it is an instance of ${name}, and would arrive without that`;
  }
  if (ArrayBuffer.isView(value) && types.isSharedArrayBuffer(value.buffer)) {
    return 'its memory is shared';
  }
  const lost = types.isNativeError(value) && Object.keys(value).find((key) => !OF_ERRORS.has(key));
  return lost ? `it is an error, and would arrive without its "${lost}"` : undefined;
}

/** Of another realm, such as that of node:vm or of a test runner: Object.prototype itself has none. */
function isPlainElsewhere(prototype: object | null): boolean {
  if (prototype === null || Object.getPrototypeOf(prototype) !== null) return false;
  return Object.hasOwn(prototype, 'isPrototypeOf');
}
