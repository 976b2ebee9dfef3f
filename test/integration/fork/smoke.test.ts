import { expect, test } from 'vitest';
import { run } from '../../support/program.js';

test('fork() returns 0 in the child and the child id in the parent', async () => {
  const { code, reports } = await run(`
    const pid = fork();
    if (pid === 0) report({ child: process.pid });
    else { report({ parent: pid }); report({ status: posix.waitpid(pid).exitCode }); }
  `);
  expect(code).toBe(0);
  const child = reports.find((r) => 'child' in r).child;
  expect(reports).toContainEqual({ parent: child });
  expect(reports).toContainEqual({ status: 0 });
});
