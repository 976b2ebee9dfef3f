// doublefork status, top and scale: the workers of a daemon that is a supervisor.

import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { getpwnam } from 'doublefork/posix';
import { describe, expect, test } from 'vitest';
import type { WorkerStatus } from '../../../src/supervise/status.js';
import { hasFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute, launch, start } from '../../support/program.js';
import { Terminal } from '../../support/pty.js';
import { testAsRoot, unprivileged } from '../../support/root.js';
import { decisions } from '../supervise/tools.js';
import { COMMAND, Place } from './command.js';

const engines = hasFork ? ['fork', 'exec'] : ['exec'];
const STAY = 'setInterval(() => {}, 1e6);';

/** A daemon called `it` that is a supervisor. */
class Supervised extends Place {
  readonly control = join(this.state, 'it.d', 'control');

  /** @param options of supervise(), as text */
  async begin(options: string, worker: string, ...flags: string[]): Promise<void> {
    const program = join(this.folder, 'it.mjs');
    writeFileSync(
      program,
      `import { supervise } from '${root}/dist/index.js';
      const worker = supervise({ minUptime: 0, ${options} });
      ${worker}; ${STAY}`,
    );
    const words = ['start', '--name', 'it', ...flags, '--', program];
    expect(await this.run(...words)).toMatchObject({ code: 0, stderr: '' });
    await this.workersAre((workers) => workers.length > 0);
  }

  async workers(): Promise<WorkerStatus[]> {
    return (await this.status('it')).supervisor?.workers ?? [];
  }

  async workersAre(condition: (workers: WorkerStatus[]) => boolean): Promise<void> {
    await until(async () => condition(await this.workers()), 'workers');
  }

  async pid(): Promise<number> {
    return (await this.status('it')).pid;
  }

  async end(): Promise<void> {
    expect(await this.run('stop', 'it')).toMatchObject({ code: 0, stderr: '' });
  }
}

describe('status of a supervisor', () => {
  test.each(engines)(
    'a line for each worker, with why its last process ended; engine %s',
    async (engine) => {
      const it = new Supervised();
      await it.begin(
        `workers: 3, engine: '${engine}'`,
        `worker.status('counts\\x1b[2J');
      if (worker.generation > 1) { /* It stays. */ }
      else if (worker.id === 1) throw new Error('cannot connect');
      else if (worker.id === 2) { worker.explain('no licence\\nat all'); process.exit(3); }`,
      );
      await it.workersAre(([one, two]) => one?.generation === 2 && two?.generation === 2);
      const [, , third] = await it.workers();
      process.kill(third!.pid!, 'SIGKILL');
      // It has its number from the start, and serves and tells what it does a moment later.
      await it.workersAre((workers) =>
        workers.every(
          ({ generation, state, status }) =>
            generation === 2 && state === 'ready' && status !== null,
        ),
      );

      const { code, stdout } = await it.run('status', 'it');
      expect(code).toBe(0);
      const [, , , headline, titles, ...lines] = stdout.split('\n');
      expect(headline).toMatch(
        /^it: 3 of 3 workers ready, 3 restarts, pid \d+, running for \d+ m?s$/,
      );
      expect(titles).toMatch(/^WORKER +PID +STATE +UPTIME +RESTARTS +RSS +CPU +LAST EXIT +STATUS$/);
      const line = (id: number, exit: string) =>
        new RegExp(
          `^${id} +\\d+ +ready +\\d+ s +1 +[\\d.]+ MB +([\\d.]+ %|-) +${exit} +counts \\[2J$`,
        );
      expect(lines[0]).toMatch(line(1, 'exited with code 1: Error: cannot connect'));
      expect(lines[1]).toMatch(line(2, 'exited with code 3: no licence'));
      expect(lines[2]).toMatch(line(3, 'killed by SIGKILL'));

      const { supervisor, problem, pid } = await it.status('it');
      expect(problem).toBeNull();
      expect(supervisor).toMatchObject({ pid, phase: 'running', restarts: 3 });
      expect(supervisor.workers[2]).toMatchObject({ id: 3, lastExit: 'killed by SIGKILL' });
      await it.end();
      expect((await it.status('it')).supervisor).toBeNull();
    },
  );

  test('a worker that was told to end says by what', async () => {
    const it = new Supervised();
    await it.begin(`watchdog: { timeout: 300, ping: 'manual' }`, '');
    await it.workersAre(([worker]) => worker?.lastExit === 'killed by SIGABRT (watchdog)');
    await it.end();
  });

  test('one that waits for its turn, and one that stays down', async () => {
    const it = new Supervised();
    await it.begin(
      `workers: 2, restart: 'on-failure', backoff: { initial: 600_000 }, minUptime: 600_000`,
      'if (worker.id === 1) throw new Error(); else if (worker.id === 2) setTimeout(() => process.exit(0), 100);',
    );
    await it.workersAre(([one, two]) => one?.state === 'waiting' && two?.state === 'down');
    const { stdout } = await it.run('status', 'it');
    expect(stdout).toMatch(
      /^1 +- +waiting \d+ min( \d+ s)? +- +1 +- +- +exited with code 1: Error$/m,
    );
    expect(stdout).toMatch(/^2 +- +down +- +0 +- +- +exited with code 0$/m);
    await it.end();
  });

  test('--control takes the place of a name', async () => {
    const it = new Supervised();
    await it.begin('', '');
    const { code, stdout } = await it.run('status', '--control', 'run/it.d/control');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^run\/it\.d\/control: 1 of 1 worker ready, /),
    });
    const control = ['--control', it.control];
    const [{ status, pid }] = JSON.parse((await it.run('status', ...control, '--json')).stdout);
    expect({ status, pid }).toEqual({ status: 'running', pid: await it.pid() });
    await it.end();
    expect(await it.run('status', '--control', it.control)).toMatchObject({
      code: 3,
      stdout: `${it.control}: no supervisor listens there\n`,
    });
  });

  test('a supervisor that is stopped is told as such, and not waited for', async () => {
    const it = new Supervised();
    await it.begin('', '');
    const pid = await it.pid();
    process.kill(pid, 'SIGSTOP');
    const { code, stdout } = await it.run('status', 'it');
    expect(code).toBe(0);
    expect(stdout).toContain(
      `it (${it.control}): the supervisor has not answered within 2 s; it may be stopped\n`,
    );
    expect(await it.run('scale', 'it', '2')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has not answered within 2 s'),
    });
    process.kill(pid, 'SIGCONT');
    await it.workersAre((workers) => workers.length > 0);
    await it.end();
  });

  test('a socket that a killed supervisor has left behind is nobody’s, and no hindrance', async () => {
    const it = new Supervised();
    await it.begin('', '');
    process.kill(await it.pid(), 'SIGKILL');
    await until(async () => (await it.status('it')).status === 'dead', 'killed');
    expect(statSync(it.control).isSocket()).toBe(true);
    expect(await it.status('it')).toMatchObject({ code: 1, supervisor: null, problem: null });
    expect((await it.run('top', 'it')).stderr).toContain('no supervisor listens there');
    await it.begin('', '');
    await it.end();
    expect(existsSync(it.control)).toBe(false);
  });

  testAsRoot('a daemon of another user, who may not ask root’s', async () => {
    const it = new Supervised();
    chmodSync(it.folder, 0o755);
    await it.begin('', '', '--user', 'nobody');
    expect(statSync(it.control)).toMatchObject({ uid: getpwnam('nobody')!.uid });
    expect(await it.workers()).toHaveLength(1);
    const asked = launch(
      unprivileged[0]!,
      [...unprivileged.slice(1), node, COMMAND, 'status', '--control', it.control],
      { cwd: it.folder, env: it.env },
    );
    const { code, stdout } = await asked.ended;
    expect({ code, stdout }).toEqual({
      code: 4,
      stdout: expect.stringMatching(
        /: the socket is user \d+’s; only that user and root may ask\n$/,
      ),
    });
    await it.end();
  });
});

describe('who is no supervisor', () => {
  test('a daemon that is none has no workers, and no trouble', async () => {
    const place = new Place();
    await place.startIt('', ['sleep', '100']);
    expect(await place.status('it')).toMatchObject({ code: 0, supervisor: null, problem: null });
    expect((await place.run('status', 'it')).stdout.trimEnd().split('\n')).toHaveLength(2);
    const { code, stderr } = await place.run('top', 'it');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `doublefork: it (${place.state}/it.d/control): no supervisor listens there\n`,
    });
    await place.run('stop', 'it');
  });

  test('somebody else who answers is not believed', async () => {
    const place = new Place();
    const path = join(place.folder, 'other');
    for (const answer of ['{"ok":true}\n', '{}\n', 'HTTP/1.1 400 Bad Request\r\n', '']) {
      const server = createServer((socket) => socket.end(answer)).listen(path);
      const { code, stdout } = await place.run('status', '--control', path);
      server.close();
      expect({ code, stdout }).toEqual({
        code: 4,
        stdout: expect.stringMatching(/no supervisor, but something else|refused this user/),
      });
    }
  });

  test('a path that no socket can have, and one that is a file', async () => {
    const place = new Place();
    const long = await place.run('status', '--control', `/tmp/${'x'.repeat(200)}`);
    expect(long).toMatchObject({ code: 4, stdout: expect.stringContaining('107 bytes') });
    const file = join(place.folder, 'file');
    writeFileSync(file, '');
    expect(await place.run('status', '--control', file)).toMatchObject({ code: 3 });
  });

  test('a pidfile does not tell where the socket is', async () => {
    const { code, stderr } = await new Place().run('scale', '--pidfile', '/nowhere.pid', '2');
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('--control') });
  });
});

describe('the socket that is offered', () => {
  test.each(engines)('is for the supervisor alone: no %s passes it on', async (engine) => {
    const DOUBLEFORK_CONTROL = join(temporaryFolder(), 'control');
    const program = start(
      `doublefork.supervise({ engine: '${engine}' });
      report(process.env.DOUBLEFORK_CONTROL); ${STAY}`,
      { env: { DOUBLEFORK_CONTROL } },
    );
    expect(await program.report()).toBeNull();
    expect(statSync(DOUBLEFORK_CONTROL).mode & 0o777).toBe(0o600);
    process.kill(program.pid);
    await program.ended;
  });

  test('goes to the first; another one, and one that may not have it, does without and says so', async () => {
    const folder = temporaryFolder();
    for (const path of [join(folder, 'control'), join(folder, 'none', 'control')]) {
      const first = start(
        `doublefork.supervise({ control: '${folder}/control' }); report(); ${STAY}`,
      );
      await first.report();
      const second = start(`doublefork.supervise(); report(); ${STAY}`, {
        env: { DOUBLEFORK_CONTROL: path },
      });
      await second.report();
      process.kill(second.pid);
      expect(decisions(await second.ended, 'no-control')).toMatchObject([
        {
          level: 40,
          error: expect.stringMatching(
            /: (another process listens there|there is no such file or directory)$/,
          ),
        },
      ]);
      process.kill(first.pid);
      await first.ended;
    }
  });

  test('can be declined', async () => {
    const place = new Place();
    await place.startIt('--env DOUBLEFORK_CONTROL=', ['sh', '-c', 'env; exec sleep 100']);
    const log = () => readFileSync(join(place.logs, 'it.log'), 'utf8');
    await until(() => log().includes('PATH='), 'the environment');
    expect(log()).toMatch(/^DOUBLEFORK_CONTROL=$/m);
    await place.run('stop', 'it');
  });
});

describe('scale', () => {
  test('has so many workers', async () => {
    const it = new Supervised();
    await it.begin('', '');
    expect(await it.run('scale', 'it', '3')).toMatchObject({
      code: 0,
      stdout: 'it is to have 3 workers\n',
    });
    await it.workersAre((workers) => workers.length === 3);
    const { stdout } = await it.run('scale', '--json', '--control', it.control, '1');
    expect(JSON.parse(stdout)).toEqual([{ name: it.control, workers: 1 }]);
    await it.workersAre((workers) => workers.length === 1);
    expect(await it.run('scale', 'it', '100000')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('from 0 to 4096'),
    });
    await it.end();
  });

  test.each([[[]], [['it']], [['it', '-1']], [['it', '2.5']]])('scale %j', async (words) => {
    expect(await new Place().run('scale', ...words)).toMatchObject({ code: 2, stdout: '' });
  });
});

/** Tells the pid of a command and whether it has left the terminal as it was. */
const WATCHED = `trap : INT; before=$(stty -g); sh -c 'echo "pid $$."; exec "$@"' sh "$@" 3>"$0"; code=$?
  [ "$before" = "$(stty -g)" ] && echo "as it was"; echo "[exit $code]"; read -r answer`;

describe('top', () => {
  test.each([
    ['q', (top: Terminal) => top.type('q'), { code: 0 }],
    ['Ctrl-C', (top: Terminal) => top.type('\x03'), { code: 0 }],
    ['SIGTERM', (_: Terminal, pid: number) => process.kill(pid), { signal: 'SIGTERM' }],
  ])('has the terminal to itself and gives it back at %s', async (_name, leave, ends) => {
    const it = new Supervised();
    await it.begin('workers: 2', `worker.status('x'.repeat(100))`);
    const top = Terminal.launch(node, [COMMAND, 'top', 'it', '--interval', '0.1'], {
      cwd: it.folder,
      env: it.env,
      shell: WATCHED,
    });
    await top.shows('it: 2 of 2 workers ready');
    // What happens is shown.
    process.kill((await it.workers())[0]!.pid!, 'SIGSEGV');
    await top.shows('killed by SIGSEGV');
    leave(top, Number(/pid (\d+)\./.exec(top.output())![1]));
    const { output: raw, ...exit } = await top.ended;
    const output = raw.replaceAll('\x1b', 'ESC');
    expect(exit).toMatchObject(ends);
    const [before, during, after] = output.split(/ESC\[\?1049[hl]/);
    expect(before).not.toContain('it: ');
    expect(after).toContain('as it was');
    expect(during!.endsWith('ESC[?25h')).toBe(true);
    // NO_COLOR, and 80 columns.
    expect(during).not.toMatch(/ESC\[\d+m/);
    const lines = during!
      .split(/\r+\n|ESC\[H/)
      .map((line) => line.replace(/ESC\[.*?[a-zA-Z]/g, ''));
    expect(Math.max(...lines.map(({ length }) => length))).toBe(80);
    await it.end();
  });

  test('as many workers as fit, and how many more there are', async () => {
    const it = new Supervised();
    await it.begin('workers: 30', '');
    const top = Terminal.launch(node, [COMMAND, 'top', 'it'], { cwd: it.folder, env: it.env });
    // 24 lines: the headline, an empty one, the titles, 20 workers and this.
    await top.shows('… 10 more');
    top.type('q');
    expect((await top.ended).output).not.toMatch(/^21 /m);
    await it.end();
  });

  test('elsewhere it prints one table after the other; CPU is the mean first, then that since the one before', async () => {
    const it = new Supervised();
    await it.begin(
      `ready: 'manual'`,
      'for (const end = Date.now() + 1000; Date.now() < end;); worker.ready();',
    );
    await it.workersAre(([worker]) => worker?.state === 'ready');
    const { code, stdout } = await it.run('top', '--count', '3', '--interval', '0.5');
    expect(code).toBe(0);
    expect(stdout).not.toContain('\x1b');
    const tables = stdout.split(/^it: /m).slice(1);
    expect(tables).toHaveLength(3);
    const [mean, , last] = tables.map((table) => Number(/ ([\d.]+) % /.exec(table)?.[1]));
    // The mean of a life of more than a second takes longer to fall so far.
    expect(last).toBeLessThan(mean! / 3);
    await it.end();
  });

  test('it goes on while there is no supervisor', async () => {
    const it = new Supervised();
    await it.begin('', '');
    const top = Terminal.launch(node, [COMMAND, 'top', '--interval', '0.1'], {
      cwd: it.folder,
      env: it.env,
    });
    await top.shows('it: 1 of 1 worker ready');
    const pid = await it.pid();
    await it.end();
    await top.shows('no supervisor listens there');
    await it.begin('', '');
    await top.shows(`pid ${await it.pid()}, running`);
    expect(await it.pid()).not.toBe(pid);
    top.type('q');
    await top.ended;
    await it.end();
  });

  test('it ends when its reader has gone', async () => {
    const it = new Supervised();
    await it.begin('', '');
    const line = `'${node}' '${COMMAND}' top it --interval 0.1 | head -n 1`;
    expect(await execute('sh', ['-c', line], { cwd: it.folder, env: it.env })).toMatchObject({
      stdout: expect.stringMatching(/^it: 1 of 1 worker ready, .*\n$/),
      stderr: '',
    });
    await it.end();
  });

  test.each([
    ['--interval', '0'],
    ['--interval', 'x'],
    ['--count', '0'],
  ])('top %s %s', async (...words) => {
    expect(await new Place().run('top', ...words)).toMatchObject({ code: 2, stdout: '' });
  });
});

test('what only these need is loaded by them alone', async () => {
  const place = new Place();
  const probe = join(place.folder, 'probe.cjs');
  writeFileSync(
    probe,
    `process.on('exit', () => {
      console.error(process.moduleLoadList.includes('NativeModule readline'));
    });`,
  );
  const loads = async (...words: string[]) => {
    const options = { cwd: place.folder, env: place.env };
    return (await execute(node, ['-r', probe, COMMAND, ...words], options)).stderr;
  };
  expect(await loads('start', '--help')).toBe('false\n');
  expect(await loads('status', 'it')).toBe('false\n');
  expect(await loads('status', '--control', '/none')).toBe('true\n');
});
