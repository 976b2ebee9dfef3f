// doublefork start, stop, restart, status: any program as a daemon.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testFork } from '../../support/engine.js';
import { root } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { Place } from './command.js';

test('start, status, list, stop, status', async () => {
  const place = new Place();
  const started = await place.run('start', '--', '/bin/sleep', '100');
  expect(started).toMatchObject({ code: 0, stderr: '' });
  const pid = Number(/^sleep runs with pid (\d+)\n$/.exec(started.stdout)?.[1]);
  expect(readFileSync(join(place.state, 'sleep.pid'), 'utf8')).toBe(`${pid}\n`);
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('/bin/sleep\x00100\x00');
  expect(stat(pid)).toMatchObject({ ttyNr: 0 });
  expect(stat(pid)!.session).not.toBe(pid);

  const status = await place.run('status', 'sleep');
  expect(status.code).toBe(0);
  expect(status.stdout).toMatch(
    new RegExp(`^sleep +running +${pid} +\\d+ s +[\\d.]+ [kM]B +/bin/sleep 100$`, 'm'),
  );
  const listed = JSON.parse((await place.run('list', '--json')).stdout);
  expect(listed).toMatchObject([
    { name: 'sleep', status: 'running', pid, command: ['/bin/sleep', '100'] },
  ]);

  const stopped = await place.run('stop', 'sleep');
  expect(stopped).toMatchObject({ code: 0, stdout: `sleep has stopped (pid ${pid}, SIGTERM)\n` });
  expect(stat(pid)?.state ?? 'Z').toBe('Z');
  expect((await place.run('status', 'sleep')).code).toBe(3);
  expect(await place.run('stop', 'sleep')).toMatchObject({
    code: 0,
    stdout: 'sleep was not running\n',
  });
});

describe('C21 status exits as LSB says', () => {
  test('1 dead with a pidfile, 3 not running, 4 unknown', async () => {
    const place = new Place();
    await place.run('start', '--', 'sleep', '100');
    const { pid } = await place.status('sleep');
    expect(await place.run('status', 'sleep')).toMatchObject({ code: 0 });
    process.kill(pid, 'SIGKILL');
    await until(() => (stat(pid)?.state ?? 'Z') === 'Z', 'killed');
    const dead = await place.run('status', 'sleep');
    expect(dead.code).toBe(1);
    expect(dead.stdout).toMatch(
      /^sleep: ended without a word \(the pidfile is left over: process \d+ does not exist\); see doublefork logs sleep$/m,
    );
    expect((await place.run('status', 'other')).code).toBe(3);
    chmodSync(join(place.state, 'sleep.pid'), 0o666);
    writeFileSync(join(place.state, 'bad.pid'), '');
    symlinkSync('bad.pid', join(place.state, 'link.pid'));
    const unknown = await place.run('status', 'link');
    expect(unknown.code).toBe(4);
    expect(unknown.stdout).toMatch(/^link: cannot open .*link.pid: it is a symbolic link/m);
  });
});

describe('what the program gets', () => {
  test('log, folder, umask, environment, and where it is called from', async () => {
    const place = new Place();
    const script = 'echo out; echo err >&2; pwd; umask; echo "$COLOUR"; exec sleep 100';
    const { code } = await place.run(
      ...['start', '--name', 'it', '--log', 'its.log', '--cwd', '/usr', '--umask', '077'],
      ...['--env', 'COLOUR=a=b', '--pidfile', 'its.pid', '--', 'sh', '-c', script],
    );
    expect(code).toBe(0);
    const log = join(place.folder, 'its.log');
    await until(() => readFileSync(log, 'utf8').endsWith('a=b\n'), 'the log');
    expect(readFileSync(log, 'utf8')).toBe('out\nerr\n/usr\n0077\na=b\n');
    expect(readFileSync(join(place.folder, 'its.pid'), 'utf8')).toMatch(/^\d+\n$/);
    const { pid, pidfile } = await place.status('it');
    expect(pidfile).toBe(join(place.folder, 'its.pid'));
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('DOUBLEFORK_HANDOFF');
    expect((await place.run('stop', 'it')).code).toBe(0);
  });

  test('the folder that the command is given in, so that relative arguments mean what they say', async () => {
    const place = new Place();
    writeFileSync(
      join(place.folder, 'app.js'),
      'console.log(process.argv[2], __filename); setInterval(() => {}, 1e6)',
    );
    await place.run('start', '--', './app.js', '--verbose');
    const { pid, log } = await place.status('app');
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(place.folder);
    await until(() => readFileSync(log, 'utf8') !== '', 'the log');
    expect(readFileSync(log, 'utf8')).toBe(`--verbose ${place.folder}/app.js\n`);
    await place.run('stop', 'app');
  });

  test('TypeScript is run with node', async () => {
    const place = new Place();
    writeFileSync(
      join(place.folder, 'app.ts'),
      'const n: number = 7; console.log(n); setInterval(() => {}, 1e6)',
    );
    // Where the project would have installed tsx.
    symlinkSync(join(root, 'node_modules'), join(place.folder, 'node_modules'));
    expect(await place.run('start', '--', 'app.ts')).toMatchObject({ code: 0 });
    const { log } = await place.status('app');
    await until(() => readFileSync(log, 'utf8') === '7\n', 'the log');
    await place.run('stop', 'app');
  });
});

describe('programs that do not run', () => {
  test.each([
    [['nowhere-to-be-found'], 127, 'there is no such program in PATH'],
    [['/nowhere/at/all'], 127, 'there is no such program there'],
    [['./missing.js'], 127, 'there is no such file'],
    [['/etc/passwd'], 126, 'what is there is not an executable file'],
    [['/etc'], 126, 'what is there is not an executable file'],
  ])('%j exits with %i', async (program, expected, reason) => {
    const place = new Place();
    const { code, stderr, stdout } = await place.run('start', '--name', 'x', '--', ...program);
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
    const what = program[0]!.replace('./', '');
    expect(stderr).toMatch(new RegExp(`^doublefork: cannot run .*${what}: ${reason}\n$`));
    expect((await place.run('status', 'x')).code).toBe(3);
  });

  test('a script without an interpreter line: 126', async () => {
    const place = new Place();
    writeFileSync(join(place.folder, 'script'), 'echo hello', { mode: 0o755 });
    const { code, stderr } = await place.run('start', '--', './script');
    expect(code).toBe(126);
    expect(stderr).toContain('has no interpreter in its first line (#!)');
  });

  test('one that dies at once: its exit code and last log lines', async () => {
    const place = new Place();
    const { code, stderr } = await place.run(
      'start',
      '--',
      'sh',
      '-c',
      'echo cannot do that; exit 42',
    );
    expect(code).toBe(42);
    expect(stderr).toContain('exited with code 42 at once');
    expect(stderr).toContain('\ncannot do that\n');
  });

  test('one that dies after a while, with --settle', async () => {
    const place = new Place();
    const { code, stderr } = await place.run(
      'start',
      '--settle',
      '30',
      '--',
      'sh',
      '-c',
      'sleep 0.2; kill -SEGV $$',
    );
    expect(code).toBe(139);
    expect(stderr).toMatch(
      /^looking whether sh stays up, for 30 s\ndoublefork: .* was killed by SIGSEGV/,
    );
  });
});

describe('a name', () => {
  test('is taken while its daemon runs, also when 64 starts come at once', async () => {
    const place = new Place();
    const starts = Array.from({ length: 64 }, () =>
      place.run('start', '--name', 'one', '--', 'sleep', '100'),
    );
    const ended = await Promise.all(starts);
    const winners = ended.filter(({ code }) => code === 0);
    expect(winners.length).toBe(1);
    const { pid } = await place.status('one');
    expect(winners[0]!.stdout).toBe(`one runs with pid ${pid}\n`);
    for (const { code, stderr } of ended) {
      if (code !== 0) expect(stderr).toContain(`one is already running (pid ${pid})`);
    }
    await place.run('stop', 'one');
  });

  test('is taken, too, by a program that closes the lock it inherits; status and stop find it', async () => {
    const place = new Place();
    const script =
      'for f in /proc/$$/fd/*; do n=$(basename $f); [ $n -gt 2 ] && eval "exec $n>&-"; done; exec sleep 100';
    await place.run('start', '--name', 'closer', '--', 'bash', '-c', script);
    const { pid } = await place.status('closer');
    // Before it has begun, the loader has its libraries open.
    const sleeps = () => /^sleep\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
    await until(
      () => sleeps() && readdirSync(`/proc/${pid}/fd`).join() === '0,1,2',
      'it has closed the rest',
    );
    expect((await place.status('closer')).status).toBe('running');
    const second = await place.run('start', '--name', 'closer', '--', 'sleep', '100');
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`closer is already running (pid ${pid})`);
    expect((await place.run('stop', 'closer')).stdout).toContain(`(pid ${pid}, SIGTERM)`);
    expect((await place.status('closer')).status).toBe('stopped');
  });

  test('that nobody knows', async () => {
    const place = new Place();
    for (const words of ['reload', 'signal HUP', 'logs', 'restart', 'top', 'scale']) {
      const { code, stderr } = await place.run(
        ...words.split(' '),
        'nobody',
        ...(words === 'scale' ? ['2'] : []),
      );
      expect(code).toBe(1);
      expect(stderr).toMatch(/^doublefork: no daemon is known as nobody: .*\n$/);
    }
    const status = await place.run('status', 'nobody');
    expect(status.code).toBe(3);
    expect(status.stdout).toMatch(/^nobody: none was started under that name/m);
    mkdirSync(place.logs);
    writeFileSync(join(place.logs, 'before-boot.log'), 'its last words\n');
    expect((await place.run('logs', 'before-boot')).stdout).toBe('its last words\n');
  });

  test('that nobody knows: nothing is stopped; one that has never run is stopped already', async () => {
    const place = new Place();
    await place.run('start', '--name', 'it', '--', 'sleep', '100');
    expect(await place.run('stop', 'it', 'nobody')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^doublefork: no daemon is known as nobody: /),
    });
    expect((await place.run('status', 'it')).code).toBe(0);
    writeFileSync(
      join(place.folder, 'doublefork.config.json'),
      JSON.stringify({ name: 'planned', program: 'sleep', args: ['100'] }),
    );
    writeFileSync(join(place.state, 'foreign.pid'), '');
    expect(await place.run('stop', 'it', 'planned', 'foreign')).toMatchObject({ code: 0 });
    expect(await place.run('stop', '--pidfile', 'none.pid')).toMatchObject({ code: 0 });
  });

  test('that cannot be one', async () => {
    const place = new Place();
    for (const [command, expected] of [
      ['status', 4],
      ['stop', 1],
    ] as const) {
      const { code, stderr } = await place.run(command, '../../etc/passwd');
      expect(code).toBe(expected);
      expect(stderr).toContain('cannot be a name');
    }
  });

  test('none, where there are two', async () => {
    const place = new Place();
    await place.run('start', '--name', 'a', '--', 'sleep', '100');
    expect((await place.run('status')).stdout).toContain('running');
    await place.run('start', '--name', 'b', '--', 'sleep', '100');
    const { code, stderr } = await place.run('stop');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'doublefork: which one of a, b? Name it\n',
    });
    expect(await place.run('status')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/\na +running .*\nb +running /),
    });
    expect((await place.run('stop', 'a', 'b')).code).toBe(0);
  });
});

test('restart: the same program with the same options, under another pid', async () => {
  const place = new Place();
  await place.run('start', '--name', 'it', '--env', 'COLOUR=red', '--', 'sleep', '100');
  const first = await place.status('it');
  const { code, stdout } = await place.run('restart', 'it');
  const second = await place.status('it');
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: `it has stopped (pid ${first.pid}, SIGTERM)\nit runs with pid ${second.pid}\n`,
  });
  expect(second.pid).not.toBe(first.pid);
  expect(readFileSync(`/proc/${second.pid}/environ`, 'utf8')).toContain('COLOUR=red');
  await place.run('stop', 'it');
});

test('restart leaves a daemon alone whose program is gone', async () => {
  const place = new Place();
  const program = join(place.folder, 'app.js');
  writeFileSync(program, 'setInterval(() => {}, 1e6)');
  await place.run('start', '--', program);
  const { pid } = await place.status('app');
  rmSync(program);
  expect(await place.run('restart', 'app')).toMatchObject({ code: 127, stdout: '' });
  expect(await place.status('app')).toMatchObject({ status: 'running', pid });
  await place.run('stop', 'app');
});

test('reload and signal reach the program; commands of the app too', async () => {
  const place = new Place();
  const script =
    'trap "echo reloaded" HUP; trap "echo flushed" URG; echo ready; while :; do sleep 0.05; done';
  writeFileSync(
    join(place.folder, 'doublefork.config.json'),
    JSON.stringify({ name: 'it', program: 'sh', args: ['-c', script], commands: { flush: 'URG' } }),
  );
  await place.run('start');
  const { log, pid } = await place.status('it');
  const says = (text: string) => until(() => readFileSync(log, 'utf8').includes(text), text);
  await says('ready');
  expect((await place.run('reload', 'it')).stdout).toBe(`sent reload to it (pid ${pid})\n`);
  await says('reloaded');
  await place.run('signal', 'flush', 'it');
  await says('flushed');
  expect(await place.run('signal', 'nonsense', 'it')).toMatchObject({
    code: 1,
    stderr:
      'doublefork: "nonsense" is neither a signal nor a command of it; its commands are stop, reload, reopen, flush\n',
  });
  await place.run('stop', 'it');
});

test('a stubborn program is killed after the schedule, with a line for each further signal', async () => {
  const place = new Place();
  await place.startIt('', ['sh', '-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done']);
  const { pid, log } = await place.status('it');
  await until(() => readFileSync(log, 'utf8') === 'deaf\n', 'the trap');
  const { code, stdout, stderr } = await place.run('stop', 'it', '--schedule', 'TERM/0.2/KILL/10');
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: `it has stopped (pid ${pid}, SIGKILL)\n`,
    stderr: `stopping it: sent SIGKILL to process ${pid}\n`,
  });
  expect((await place.run('status', 'it')).code).toBe(3);
});

test('the state folder: a link, or somebody else’s, is not followed', async () => {
  const place = new Place();
  mkdirSync(join(place.folder, 'elsewhere'));
  symlinkSync('elsewhere', place.state);
  const { code, stderr } = await place.run('start', '--', 'sleep', '100');
  expect(code).toBe(1);
  expect(stderr).toContain(`the directory ${place.state} is refused: it is a symbolic link`);
  expect(readdirSync(join(place.folder, 'elsewhere'))).toEqual([]);

  const open = new Place();
  mkdirSync(open.state);
  chmodSync(open.state, 0o777);
  expect((await open.run('start', '--', 'sleep', '100')).stderr).toContain(
    'other users may write to',
  );
});

test('the wrong words exit with 2', async () => {
  const place = new Place();
  for (const words of [
    ['nonsense'],
    ['stop', '--nonsense'],
    ['start', '--ready', 'perhaps', '--', 'x'],
    ['start', '--'],
    ['start', '--env', 'X', '--', 'x'],
    ['start', '--umask', '999', '--', 'x'],
    ['start', '--timeout', '010', '--', 'x'],
    ['start', '--settle', '0x10', '--', 'x'],
    ['start', '--limit', 'nofile=', '--', 'x'],
    ['logs', '-n', '010'],
    ['scale', 'it', '02'],
    ['top', '--interval', '01'],
    ['start', '--limit', 'patience=1', '--', 'x'],
    ['start', '--name', 'a/b', '--', 'x'],
    ['start', '--stop', 'TERM/x', '--', 'x'],
    ['stop', '--schedule', 'TERM/x'],
    ['restart', '--schedule', ''],
    ['logs', '-n', 'x'],
  ]) {
    expect(await place.run(...words)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^doublefork: /),
    });
  }
  expect(statSync(place.folder).isDirectory()).toBe(true);
});

test('a config file without apps has nothing to start', async () => {
  const place = new Place();
  writeFileSync(join(place.folder, 'doublefork.config.json'), '{ "apps": {} }');
  for (const words of [['start'], ['start', '--all'], ['start', 'web']]) {
    const { code, stderr } = await place.run(...words);
    expect(code).toBe(1);
    expect(stderr).toMatch(/config\.json has no apps(\n|; to start a program: .*\n)$/);
  }
});

test('a umask without quotes, of which others would make another one, starts nothing', async () => {
  const place = new Place();
  const config = (umask: string) =>
    writeFileSync(
      join(place.folder, 'doublefork.config.yaml'),
      `name: it\nprogram: sh\nargs: [-c, 'umask; exec sleep 50']\numask: ${umask}\n`,
    );
  config('077');
  expect(await place.run('start')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: `doublefork: doublefork.config.yaml:4: umask must be octal, from 000 to 777, in quotes: write "077", not 077\n  4 | umask: 077\n`,
  });
  expect(existsSync(place.logs)).toBe(false);
  config('"077"');
  expect((await place.run('start')).code).toBe(0);
  const log = join(place.logs, 'it.log');
  await until(() => readFileSync(log, 'utf8') !== '', 'the log');
  expect(readFileSync(log, 'utf8')).toBe('0077\n');
  expect(statSync(log).mode & 0o777).toBe(0o600);
  await place.run('stop', 'it');
});

test('a limit that cannot be is told by the option, and by the key of the config file', async () => {
  const place = new Place();
  const start = async (...words: string[]) => (await place.run('start', ...words)).stderr;
  expect(await start('--limit', 'patience=1', '--', 'x')).toMatch(
    /^doublefork: --limit patience is no limit here; there are core, .*\n/,
  );
  expect(await start('--limit', 'core=2:1', '--', 'x')).toMatch(
    /^doublefork: --limit core must be soft at most hard, not "2:1"\n/,
  );
  writeFileSync(
    join(place.folder, 'doublefork.config.json'),
    JSON.stringify({ program: 'x', limits: { core: { soft: 'some' } } }),
  );
  expect(await start()).toMatch(
    /^doublefork: doublefork.config.json:1: limits.core must be a whole number or "infinity", not "some"\n/,
  );
});

test('help, version, doctor', async () => {
  const place = new Place();
  expect((await place.run('--help')).stdout).toContain('start a program as a daemon');
  expect((await place.run('help', 'start')).stdout).toContain('--pidfile');
  expect((await place.run('start', '--help')).stdout).toContain('--pidfile');
  expect((await place.run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const doctor = await place.run('doctor');
  expect(doctor.code).toBe(0);
  expect(doctor.stdout).toMatch(/engine +fork|exec only/);
  const findings = JSON.parse((await place.run('doctor', '--json')).stdout);
  expect(findings.map(({ what }: { what: string }) => what)).toContain('kernel');
});

test('completion scripts are in the language of their shell, and name every command', async () => {
  const place = new Place();
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout, code } = await place.run('completion', shell);
    expect(code).toBe(0);
    for (const command of ['start', 'stop', 'status', 'logs']) expect(stdout).toContain(command);
    if (shell === 'bash') {
      const complete = `${stdout}
        COMP_WORDS=(doublefork st); COMP_CWORD=1; _doublefork; echo "\${COMPREPLY[*]}"
        COMP_WORDS=(doublefork stop --sch); COMP_CWORD=2; _doublefork; echo "\${COMPREPLY[*]}"
        COMP_WORDS=(doublefork completion ''); COMP_CWORD=2; _doublefork; echo "\${COMPREPLY[*]}"
        COMP_WORDS=(doublefork top --control /etc/hostnam); COMP_CWORD=3; _doublefork; echo "\${COMPREPLY[0]}"`;
      const completed = execFileSync('bash', ['-c', complete], { encoding: 'utf8' });
      expect(completed).toBe(
        'start stop status startup\n--schedule\n--help bash zsh fish\n/etc/hostname\n',
      );
    }
  }
});

describe('a program that calls daemonize() itself', () => {
  const serve = (options: string, more = '') => `
    import { daemonize } from '${root}/dist/index.js';
    import { spawnSync } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    const daemon = daemonize({ pidfile: 'app.pid', cwd: 'keep', ${options} });
    const env = spawnSync('env', { encoding: 'utf8' }).stdout;
    ${more};
    writeFileSync('there', JSON.stringify({ pid: process.pid, detached: daemon.detached, env }));
    setInterval(() => {}, 1e6);`;

  test('stays in the foreground, and is the daemon that is known', async () => {
    const place = new Place();
    writeFileSync(join(place.folder, 'app.mjs'), serve("log: 'app.log'"));
    for (const command of ['start', 'restart']) {
      const words = command === 'start' ? ['--name', 'it', '--', './app.mjs'] : ['it'];
      expect(await place.run(command, ...words)).toMatchObject({ code: 0, stderr: '' });
      const { status, pid } = await place.status('it');
      expect(status).toBe('running');
      const there = JSON.parse(readFileSync(join(place.folder, 'there'), 'utf8'));
      expect(there).toMatchObject({ pid, detached: false });
      // Its children are not in its place.
      expect(there.env).not.toContain('DOUBLEFORK_START');
      expect(readFileSync(join(place.folder, 'app.pid'), 'utf8')).toBe(`${pid}\n`);
    }
    expect((await place.run('stop', 'it')).code).toBe(0);
  });

  testFork('has its readiness passed on', async () => {
    const place = new Place();
    const wait = `while (!(await import('node:fs')).existsSync('go')) await new Promise((resolve) => setTimeout(resolve, 20));
      writeFileSync('ready', ''); daemon.ready()`;
    writeFileSync(join(place.folder, 'app.mjs'), serve("ready: 'manual'", wait));
    const starting = place.launch([
      'start',
      '--name',
      'it',
      '--ready',
      'notify',
      '--',
      './app.mjs',
    ]);
    await until(() => existsSync(join(place.folder, 'app.pid')), 'it has begun');
    writeFileSync(join(place.folder, 'go'), '');
    expect((await starting.ended).code).toBe(0);
    expect(existsSync(join(place.folder, 'ready'))).toBe(true);
    await place.run('stop', 'it');
  });

  test('and insists on leaving: is refused, and nothing is left', async () => {
    const place = new Place();
    writeFileSync(join(place.folder, 'app.mjs'), serve("detach: 'always'"));
    const { code, stderr } = await place.startIt('', ['./app.mjs']);
    expect(code).toBe(1);
    expect(stderr).toContain('but doublefork start has done so');
    expect(existsSync(join(place.folder, 'there'))).toBe(false);
  });
});
