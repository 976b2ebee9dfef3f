// assert and assert/strict: which comparisons fail, and with what message.
import assert from 'node:assert';
import strict from 'node:assert/strict';

function message(check) {
  try {
    check();
    return 'passed';
  } catch (error) {
    return `${error.code}: ${error.message}`;
  }
}

const expected = { list: [1, 2, { deep: new Map([['key', 'value']]) }] };
const pending = assert.rejects(
  new Promise((_, reject) => setTimeout(reject, 10, new TypeError('later'))),
  { name: 'TypeError', message: 'later' },
);
await globalThis.midpoint?.();
await pending;
console.log(message(() => assert.equal(1, '1')));
console.log(message(() => strict.equal(1, '1')));
console.log(message(() => strict.deepEqual({ list: [1, 3] }, { list: [1, 2] })));
console.log(message(() => assert.deepEqual(structuredClone(expected), expected)));
console.log(message(() => assert.throws(() => JSON.parse('{'), SyntaxError)));
console.log(message(() => assert.match('daemon', /^d.*n$/)));
console.log(message(() => assert.fail('on purpose')));
