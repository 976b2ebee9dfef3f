// Limits on what workers use, alarms, and restarts by the clock: supervise({ limits, onAlarm, recycleAt }).

import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { until } from '../../support/processes.js';
import { run, start } from '../../support/program.js';
import { decisions } from './tools.js';

const STAY = `
  const worker = doublefork.supervise({ workers: 1, restart: 'never', ...options });
  worker.signal.addEventListener('abort', () => process.exit());
  setInterval(() => {}, 1e6);
`;

const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

/** Once there is a line in a file that is appended to. */
async function firstLine(path: string, event: string) {
  let found: Record<string, unknown> | undefined;
  await until(() => {
    try {
      found = lines(path).find((line) => line.event === event);
    } catch {
      // It is not there yet.
    }
    return found !== undefined;
  }, `${event} in ${path}`);
  return found!;
}

describe('what a worker uses', () => {
  test('descriptors: warns at its limit, and says when it is over', async () => {
    const log = join(temporaryFolder(), 'log');
    const program = start(`
      const options = { log: ${JSON.stringify(log)}, limits: { descriptors: { warn: 0.8 }, interval: 100 } };
      posix.setrlimit('nofile', { soft: 256, hard: 256 });
      ${STAY}
      const files = [];
      for (let fd = 0; fd < 220; fd = files.at(-1)) files.push(fs.openSync('/dev/null', 'r'));
      process.on('SIGUSR1', () => { for (const fd of files) fs.closeSync(fd); });
      report(process.ppid);
    `);
    const supervisor = await program.report();
    const raised = await firstLine(log, 'alarm');
    expect(raised).toMatchObject({ worker: 1, resource: 'descriptors', limit: 0.8 });
    process.kill(supervisor, 'SIGUSR1');
    await firstLine(log, 'alarm-over');
    process.kill(supervisor);
    await program.ended;
    expect(lines(log).filter(({ event }) => event === 'alarm')).toHaveLength(1);
  });

  test('processor time: a busy worker is replaced, and its successor is not', async () => {
    const ended = await run(`
      const options = { limits: { cpu: { warn: 0.1, replace: 0.2 }, interval: 200 } };
      ${STAY}
      if (worker.generation === 1) {
        setInterval(() => { for (const end = Date.now() + 25; Date.now() < end;); }, 30);
      } else setTimeout(() => process.kill(process.ppid), 1500);
    `);
    expect(decisions(ended, 'alarm')[0]).toMatchObject({ resource: 'cpu', limit: 0.1 });
    expect(decisions(ended, 'replace')).toMatchObject([{ worker: 1, reason: 'cpu' }]);
  });

  test('event loop: one that is slow is replaced, and so is one that is stuck', async () => {
    const ended = await run(`
      const options = {
        stopTimeout: 200,
        limits: { eventLoopDelay: { warn: 50, replace: 300 }, interval: 200 },
      };
      ${STAY}
      if (worker.generation === 1) {
        setInterval(() => { for (const end = Date.now() + 400; Date.now() < end;); }, 500);
      } else if (worker.generation === 2) {
        setTimeout(() => { for (;;); }, 300);
      } else process.kill(process.ppid);
    `);
    expect(decisions(ended, 'alarm')[0]).toMatchObject({ resource: 'event-loop delay' });
    expect(decisions(ended, 'replace')).toMatchObject([
      { worker: 1, reason: 'event-loop delay' },
      { worker: 1, reason: 'event-loop delay' },
    ]);
  });

  test('memory: garbage is collected before anybody is warned', async () => {
    const ended = await run(`
      const options = { limits: { memory: { warn: 200e6 }, interval: 200 } };
      ${STAY}
      // Young garbage that V8 sees no reason to collect: nobody allocates anything any more.
      let kept = [];
      for (let n = 0; n < 40; n++) kept.push(Buffer.alloc(5e6, 1));
      kept = undefined;
      setInterval(() => {
        if (process.memoryUsage.rss() < 200e6) process.kill(process.ppid);
      }, 50);
    `);
    expect(decisions(ended, 'alarm')).toEqual([]);
    expect(decisions(ended, 'stopped')).toMatchObject([{ code: 0 }]);
  });

  test('memory: of what is not garbage there is a snapshot, if one was asked for, and an alarm', async () => {
    const heaps = temporaryFolder();
    const ended = await run(`
      const options = {
        limits: { memory: { warn: 150e6, snapshot: ${JSON.stringify(heaps)} }, interval: 200 },
      };
      ${STAY}
      globalThis.kept = Array.from({ length: 40 }, () => Buffer.alloc(5e6, 1));
      setInterval(() => {
        if (fs.readdirSync(${JSON.stringify(heaps)}).length > 0) process.kill(process.ppid);
      }, 50);
    `);
    expect(decisions(ended, 'alarm')).toMatchObject([{ resource: 'memory', limit: 150e6 }]);
    const [heap, ...others] = readdirSync(heaps);
    expect(others).toEqual([]);
    expect(heap).toMatch(/^worker-1-\d+-.*\.heapsnapshot$/);
    expect(JSON.parse(readFileSync(join(heaps, heap!), 'utf8'))).toHaveProperty('snapshot');
  });

  test('what the kernel does not enforce here is told', async () => {
    const ended = await run(`
      const options = { cgroup: 'none', limits: { memory: { max: 1e12 }, processes: { max: 100 } } };
      ${STAY}
      process.kill(process.ppid);
    `);
    expect(decisions(ended, 'no-limits')).toMatchObject([
      { msg: expect.stringMatching(/memory\.high, memory\.max, pids\.max are not enforced/) },
    ]);
  });
});

describe('who is told of an alarm', () => {
  const failing = (hook: string) => `
    const options = { onAlarm: ${hook}, restart: 'always', maxFailures: 1, minUptime: 60_000, backoff: { initial: 0 } };
    ${STAY}
    process.exit(3);
  `;

  test('a command, with the alarm on its standard input, even as the supervisor gives up', async () => {
    const file = join(temporaryFolder(), 'alarm');
    // It takes its time: the supervisor waits for it.
    const hook = [
      '/bin/sh',
      '-c',
      `sleep 0.5; cat >'${file}'; echo "$DOUBLEFORK_ALARM" >>'${file}'`,
    ];
    const ended = await run(failing(JSON.stringify(hook)));
    expect(ended.code).toBe(1);
    const [alarm, event] = readFileSync(file, 'utf8').split('\n');
    expect(event).toBe('give-up');
    expect(JSON.parse(alarm!)).toMatchObject({
      event: 'give-up',
      worker: 1,
      message: expect.stringContaining('giving up with code 1'),
    });
  });

  test('a URL, by POST', async () => {
    const bodies: string[] = [];
    const server = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => bodies.push(text));
      request.on('end', () => response.end());
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await run(failing(`'http://127.0.0.1:${port}/alarm'`));
    expect(bodies.map((body) => JSON.parse(body))).toMatchObject([{ event: 'give-up' }]);
  });

  test('a function, of a module', async () => {
    const folder = temporaryFolder();
    const module = join(folder, 'alarm.mjs');
    writeFileSync(
      module,
      `import { writeFileSync } from 'node:fs';
      export default ({ event }) => writeFileSync(${JSON.stringify(join(folder, 'told'))}, event);`,
    );
    await run(failing(`new URL('${pathToFileURL(module)}')`));
    expect(readFileSync(join(folder, 'told'), 'utf8')).toBe('give-up');
  });

  test('a hook that fails is told in the log', async () => {
    const ended = await run(failing(`['/bin/sh', '-c', 'exit 4']`));
    expect(decisions(ended, 'alarm-failed')).toMatchObject([
      { error: expect.stringContaining('exited with code 1') },
    ]);
    expect(ended.stderr).toContain('/bin/sh ended with code 4');
  });

  test.each([
    ["'mail root'", 'ERR_OUT_OF_RANGE'],
    ["['no-such-program-anywhere']", 'ENOENT'],
    ['[]', 'ERR_INVALID_ARG_TYPE'],
  ])('%s is refused', async (hook, code) => {
    const ended = await run(`
      try { doublefork.supervise({ onAlarm: ${hook} }); } catch (error) { report(error.code); }
    `);
    expect(ended.reports).toEqual([code]);
  });
});

describe('by the clock', () => {
  test('all workers are replaced at their time, and the service goes on', async () => {
    const ended = await run(`
      const options = { recycleAt: '* * * * * *', restart: 'always' };
      ${STAY}
      if (worker.generation === 3) process.kill(process.ppid);
    `);
    expect(decisions(ended, 'replace').slice(0, 2)).toMatchObject([
      { worker: 1, reason: 'recycle' },
      { worker: 1, reason: 'recycle' },
    ]);
  });

  test.each([["'at four'"], ["'0 0 30 2 *'"], ["'* * * * * * 2001'"]])(
    '%s is refused',
    async (pattern) => {
      const ended = await run(`
      try { doublefork.supervise({ recycleAt: ${pattern} }); } catch (error) { report([error.code, error.message]); }
    `);
      expect(ended.reports).toEqual([
        ['ERR_OUT_OF_RANGE', expect.stringContaining('options.recycleAt')],
      ]);
    },
  );
});
