// node:test and its reporters: run() over a file in this process' own test streams; names and results only.
import { run } from 'node:test';
import reporters from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

await globalThis.midpoint?.();
const environment = { ...process.env };
delete process.env.NODE_TEST_CONTEXT;
const file = fileURLToPath(new URL('./support/trivial-tests.mjs', import.meta.url));
const seen = [];
const events = run({ files: [file], concurrency: 1 });
for await (const { type, data } of events) {
  if (type === 'test:pass' || type === 'test:fail') {
    if (data.name !== file && !data.name.endsWith('trivial-tests.mjs'))
      seen.push(`${type} ${data.nesting} ${data.name} ${data.details.error?.cause?.message ?? ''}`.trim());
  }
}
console.log(seen.join('\n'));
console.log(Object.keys(reporters).sort().join(), Object.keys(environment).length > 0);
