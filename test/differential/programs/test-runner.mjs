// node:test and its reporters: a run of trivial tests in a child, and reporters fed by hand; no durations.
import { spawnSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { tap, junit, spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

await globalThis.midpoint?.();
const file = fileURLToPath(new URL('./support/trivial-tests.mjs', import.meta.url));
// A child of its own, as run() would hand this process' execArgv, and with it a preload, on.
const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
const { status, stdout } = spawnSync(process.execPath, ['--test-reporter=tap', file], { encoding: 'utf8', env });
console.log(status, stdout.match(/^ *(not )?ok .*$/gm).join('\n'));
const details = { duration_ms: 1, type: 'test' };
const events = [
  { type: 'test:start', data: { name: 'by hand', nesting: 0, file } },
  { type: 'test:pass', data: { name: 'by hand', nesting: 0, testNumber: 1, details, file } },
  { type: 'test:plan', data: { nesting: 0, count: 1, file } },
  { type: 'test:diagnostic', data: { nesting: 0, message: 'a note', file } },
];
for await (const line of tap(Readable.from(events))) console.log(line.trimEnd());
console.log(typeof junit, typeof spec);
