// A daemon that is process 1 of its pid namespace, as in a container.

import { describe, expect, test } from 'vitest';
import { MANAGERS, manage } from '../../support/managers/others.js';
import { Service } from '../../support/managers/service.js';
import { isRoot } from '../../support/root.js';

/** Has a shell start so many processes that outlive it, and end. */
const ORPHANS = `
  const { spawnSync, spawn } = await import('node:child_process');
  const zombies = () => fs.readdirSync('/proc').filter((pid) => {
    try { return /^\\d+$/.test(pid) && / Z 1 /.test(fs.readFileSync('/proc/' + pid + '/stat', 'utf8')); } catch { return false; }
  }).length;
  spawnSync('sh', ['-c', 'for i in 1 2 3 4 5 6; do (sleep 0.1 &) ; done']);
`;

describe.skipIf(!isRoot)('process 1', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)(
    'ends by %s, for which the program has no handler',
    async (signal) => {
      const service = new Service(`daemonize(); say(process.pid); setInterval(() => {}, 1e6);`);
      const { running, signalInit } = manage(MANAGERS['process 1'], service.line);
      expect(await service.says()).toBe(1);
      signalInit(signal);
      expect((await running.exited).code).toBe(
        { SIGTERM: 143, SIGINT: 130, SIGHUP: 129, SIGQUIT: 131 }[signal],
      );
    },
  );

  test('leaves a signal to the program that has a handler for it', async () => {
    const service = new Service(`
      const daemon = daemonize();
      process.on('SIGTERM', () => say('TERM'));
      daemon.on('reload', () => process.exit(7));
      say(process.pid);
      setInterval(() => {}, 1e6);
    `);
    const { running, signalInit } = manage(MANAGERS['process 1'], service.line);
    await service.says();
    signalInit('SIGTERM');
    expect(await service.says(2)).toBe('TERM');
    signalInit('SIGHUP');
    expect((await running.exited).code).toBe(7);
  });

  test('reaps orphans, and leaves the children of the program to it', async () => {
    const service = new Service(`
      daemonize();
      ${ORPHANS}
      const child = spawn('sh', ['-c', 'exit 3']);
      child.on('exit', (code) => say(code));
      const started = Date.now();
      setTimeout(() => say(zombies()), 800);
      const timer = setInterval(() => {
        if (Date.now() - started < 1000 || (zombies() > 0 && Date.now() - started < 15000)) return;
        clearInterval(timer);
        say(zombies());
      }, 50);
    `);
    const { running } = manage(MANAGERS['process 1'], service.line);
    await running.exited;
    expect(service.said).toEqual([3, 6, 0]);
  });
});
