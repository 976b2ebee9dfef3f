// The tests that test-runner.mjs runs: one passes, one fails on purpose, one has a child.
import assert from 'node:assert';
import { describe, it, test } from 'node:test';

test('passes', () => assert.ok(true));
test('fails', () => {
  throw new Error('on purpose');
});
describe('suite', () => it('has a child', () => {}));
