import { describe, expect, test } from 'vitest';
import { decodeValue, encodeValue } from '../../src/image/clone.js';

const MOST = 1 << 20;
const cycle: Record<string, unknown> = { name: 'cycle' };
cycle.self = cycle;
/** Deeper than what clones it can go. */
const deep = Array.from({ length: 100_000 }).reduce<unknown>((next) => ({ next }), null);
class Session {
  user = 'a';
}

describe('what is handed over', () => {
  test.each([
    ['undefined', undefined],
    ['numbers', [0, -0, Number.NaN, Number.POSITIVE_INFINITY, 12n]],
    ['texts', ['', 'grüße', '\0', '\ud800']],
    [
      'maps and sets',
      new Map<unknown, unknown>([
        ['a', new Set([1, { b: 2 }])],
        [{ k: 1 }, 'v'],
      ]),
    ],
    ['dates and patterns', { date: new Date(5), pattern: /a+/giu }],
    [
      'bytes',
      {
        buffer: Buffer.from('abc'),
        floats: new Float64Array([1.5]),
        view: new DataView(new ArrayBuffer(4)),
      },
    ],
    [
      'an object without a prototype, and holes',
      { none: Object.assign(Object.create(null), { a: 1 }), holes: new Array(3) },
    ],
    ['a cycle', cycle],
  ])('arrives as it was: %s', (_what, value) => {
    expect(decodeValue(encodeValue(value, 'value', MOST))).toEqual(value);
  });

  test('an error arrives with its message, kind and stack', () => {
    const error = new RangeError('too far');
    const back = decodeValue(encodeValue(error, 'value', MOST)) as Error;
    expect(back).toBeInstanceOf(RangeError);
    expect([back.message, back.stack]).toEqual([error.message, error.stack]);
  });
});

describe('what would not arrive as it is is refused, with its place', () => {
  test.each<[string, unknown]>([
    ['value cannot be handed over: it is a symbol', Symbol('a')],
    ['value.a[1].b cannot be handed over: it is a function', { a: [0, { b() {} }] }],
    [
      'value.get("x").user cannot be handed over: it is a function',
      new Map([['x', { user() {} }]]),
    ],
    [
      'value.values()[0] cannot be handed over: it is an instance of Session',
      new Set([new Session()]),
    ],
    ['value.url cannot be handed over: it is an instance of URL', { url: new URL('http://a/') }],
    ['value.blob cannot be handed over: it is an instance of Blob', { blob: new Blob(['a']) }],
    ['value cannot be handed over: it is an instance of Promise', Promise.resolve()],
    ['value cannot be handed over: it is an instance of WeakMap', new WeakMap()],
    [
      'value cannot be handed over: it is an instance of SharedArrayBuffer',
      new SharedArrayBuffer(1),
    ],
    ['value cannot be handed over: it is a Proxy', new Proxy({}, {})],
    ['would arrive without its "code"', Object.assign(new Error('a'), { code: 'E' })],
    ['its memory is shared', new Uint8Array(new SharedArrayBuffer(1))],
    ['Maximum call stack', deep],
  ])('%s', (text, value) => {
    expect(() => encodeValue(value, 'value', MOST)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_VALUE',
        message: expect.stringContaining(text),
      }),
    );
  });

  test('also what is too long', () => {
    expect(() => encodeValue('x'.repeat(101), 'value', 100)).toThrow(
      /the length of value in bytes/,
    );
  });
});
