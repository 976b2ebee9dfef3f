// node:test: tests inside the program itself; hooks, mocks, timers and subtests; only their order is printed.
import { after, before, describe, it, test } from 'node:test';

const lines = [];
process.on('exit', (code) => process.stderr.write(`${lines.join('\n')}\nexit ${code}\n`));
// Experimental features warn with the process id.
process.removeAllListeners('warning');
await globalThis.midpoint?.();
process.stdout.write = () => true;
before(() => lines.push('before'));
after(() => lines.push('after'));
describe('suite', () => {
  it('first', () => lines.push('first'));
  it('skipped', { skip: true }, () => lines.push('never'));
});
test('parent', async (t) => {
  await t.test('child', () => lines.push('child'));
  const spy = t.mock.fn((value) => value + 1);
  lines.push(`spy ${spy(1)} ${spy.mock.callCount()}`);
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1000 });
  setTimeout(() => lines.push(`fake ${Date.now()}`), 60_000);
  t.mock.timers.tick(60_000);
});
test('failing', () => {
  lines.push('failing');
  throw new Error('on purpose');
});
