// process.stdin, stdout and stderr and the console, used before daemonize() and after it.

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testContinuing } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { descriptors } from '../../support/processes.js';
import { execute, inline, run, start } from '../../support/program.js';
import { Terminal } from '../../support/pty.js';

/** `JSON.stringify` for a program's source. */
const literal = (value: unknown) => JSON.stringify(value);

/** Uses the streams, leaves them behind, and writes through everything that it kept of them. */
const writer = (log: string, stdin = '') => `
  const { stdout, stderr } = process;
  const { log, error } = console;
  const own = new console.Console(stdout, stderr);
  log('before');
  error('before, too');
  ${stdin}
  daemonize({ keepFds: [3], log: ${literal(log)} });
  console.log('1');
  console.error('2');
  log('3');
  error('4');
  own.log('5');
  own.error('6');
  stdout.write('7\\n');
  stderr.write('8\\n');
  process.stdout.write('9\\n');
  process.stderr.write('10\\n');
  // The loop turns: what it watches in vain would end the process here.
  await fs.promises.readFile('/proc/self/stat');
  await new Promise((resolve) => stdout.write('11\\n', resolve));
  await new Promise((resolve) => process.stdout.end('12\\n', resolve));
  report([process.pid, process.stdout.isTTY ?? false, process.stdin.isTTY ?? false]);
  process.stdin.on('data', () => {}).on('end', () => report('end of input'));
`;

const WRITTEN = Array.from({ length: 12 }, (_, index) => `${index + 1}\n`).join('');

const READ = {
  'stdin unused': '',
  'stdin read': `
    process.stdin.on('data', () => {});
    await new Promise((resolve) => setImmediate(resolve));
  `,
  'stdin read by readline': `
    import { createInterface } from 'node:readline';
    createInterface({ input: process.stdin, output: process.stdout }).setPrompt('');
    await new Promise((resolve) => setImmediate(resolve));
  `,
  'stdin read and paused': `
    process.stdin.on('data', () => {}).pause();
    await new Promise((resolve) => setImmediate(resolve));
  `,
};

describe.each(Object.entries(READ))('%s', (_name, read) => {
  testContinuing(
    'on a terminal: nothing is written to it afterwards, all goes to the log',
    async () => {
      const log = join(temporaryFolder(), 'log');
      const { code, output, reports } = await Terminal.start(writer(log, read)).ended;
      expect(output.trim().split('\r\n')).toEqual(['before', 'before, too', '[exit 0]']);
      expect(code).toBe(0);
      expect(reports.slice(0, 1)).toEqual([[expect.any(Number), false, false]]);
      expect(reports.slice(1)).toEqual(['end of input']);
      expect(readFileSync(log, 'utf8')).toBe(WRITTEN);
    },
  );

  testContinuing('on pipes', async () => {
    const log = join(temporaryFolder(), 'log');
    const ended = await run(writer(log, read), { stdio: ['pipe', 'pipe', 'pipe'] });
    expect(ended).toMatchObject({ code: 0, stdout: 'before\n', stderr: 'before, too\n' });
    expect(ended.reports.slice(1)).toEqual(['end of input']);
    expect(readFileSync(log, 'utf8')).toBe(WRITTEN);
  });

  testContinuing('on files', async () => {
    const folder = temporaryFolder();
    const log = join(folder, 'log');
    writeFileSync(join(folder, 'in'), 'words\n');
    const stdio = [openSync(join(folder, 'in'), 'r'), openSync(join(folder, 'out'), 'a+')];
    const ended = await run(writer(log, read), { stdio: [...stdio, stdio[1]!] });
    for (const fd of stdio) closeSync(fd);
    expect(ended.code).toBe(0);
    expect(ended.reports.slice(1)).toEqual(['end of input']);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('before\nbefore, too\n');
    expect(readFileSync(log, 'utf8')).toBe(WRITTEN);
  });
});

describe('the terminal', () => {
  testContinuing(
    'is no more in any descriptor, and what is typed there is for the shell',
    async () => {
      const terminal = Terminal.start(
        `
        import { createInterface } from 'node:readline/promises';
        const questions = createInterface({ input: process.stdin, output: process.stdout });
        await questions.question('Password: ');
        daemonize({ keepFds: [3] });
        report(process.pid);
        setInterval(() => {}, 1e6);
      `,
        {
          shell: '"$@" 3>"$0"; echo "[exit $?]"; read -r answer; echo "<$answer>"; read -r answer',
        },
      );
      terminal.type('secret\n');
      const pid: number = await terminal.report();
      await terminal.exited;
      for (const { target } of descriptors(pid).values()) {
        expect(target).not.toMatch(/^\/dev\/(pts|tty)/);
      }
      terminal.type('typed\n');
      await terminal.shows('<typed>');
      process.kill(pid);
      await terminal.ended;
    },
  );

  // The exec engine's new image finds /dev/null.
  test('is left in the mode in which it was found', async () => {
    const terminal = Terminal.start(
      `
        process.stdin.setRawMode?.(true);
        process.stdin.resume();
        daemonize({ keepFds: [3] });
      `,
      { shell: '"$@" 3>"$0"; echo "[exit $?]"; stty -a; read -r answer' },
    );
    await terminal.exited;
    const { output } = await terminal.ended;
    expect(output).toMatch(/[^-]icanon/);
    expect(output).toMatch(/[^-]echo\b/);
  });

  test('is in that mode while the launcher waits: Ctrl-C ends it', async () => {
    const terminal = Terminal.start(`
      process.stdin.setRawMode?.(true);
      process.stdin.resume();
      daemonize({ keepFds: [3], ready: 'manual' });
      report(process.pid);
      setInterval(() => {}, 1e6);
    `);
    await terminal.report();
    terminal.type('\x03');
    expect(await terminal.exited).toEqual({ code: null, signal: 'SIGINT' });
    await terminal.ended;
  });

  testContinuing('stays where a stream is kept', async () => {
    const terminal = Terminal.start(`
      console.log('before');
      console.error('before, too');
      daemonize({ keepFds: [3], stdout: 'keep' });
      console.log('after');
      console.error('nowhere');
      console.log('more');
      process.stdout.write('flushed\\n', () => report(process.stdout.isTTY));
    `);
    const { output, reports } = await terminal.ended;
    expect(reports).toEqual([true]);
    expect(output).toContain('after');
    expect(output).toContain('flushed');
    expect(output).not.toContain('nowhere');
  });
});

describe('pipes', () => {
  testContinuing('are left as they were found, for the next command', async () => {
    const source = `
      console.log('out');
      console.error('error');
      process.stdin.once('data', () => {
        daemonize({ keepFds: [3] });
        process.exit();
      });
    `;
    const flags = `use Fcntl; open F, '>&=3'; $^F = 3;
      print F fcntl($_, F_GETFL, 0) & O_NONBLOCK ? 1 : 0, "\\n" for *STDIN, *STDOUT, *STDERR;`;
    const fifo = join(temporaryFolder(), 'fifo');
    execFileSync('mkfifo', [fifo]);
    // The writer stays until the reader is gone, so that its pipe has no end before.
    const pipeline = `flags=$1; shift; { echo line; read -r _ <"$0"; } |
      { "$@" 2>&1; perl -e "$flags" 2>&1; echo >"$0"; } | cat`;
    const { reports } = await execute('bash', [
      ...['-c', pipeline, fifo, flags],
      ...[node, ...inline(source)],
    ]);
    expect(reports).toEqual([0, 0, 0]);
  });

  testContinuing('a log that is a pipe takes what is written at once', async () => {
    const { stdout, stderr, code } = await run(
      `
        console.log('before');
        daemonize({ keepFds: [3], stdout: 'keep', stderr: 1 });
        console.log('after');
        console.error('x'.repeat(200_000));
        process.exit();
      `,
    );
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout).toBe(`before\nafter\n${'x'.repeat(200_000)}\n`);
  });

  testContinuing('a Worker of before writes to the new streams', async () => {
    const log = join(temporaryFolder(), 'log');
    const program = start(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const worker = new Worker(\`
        import { parentPort } from 'node:worker_threads';
        console.log('before');
        parentPort.on('message', (line) => { console.log(line); process.exit(); });
      \`, { eval: true });
      await new Promise((resolve) => worker.stdout.once('data', resolve));
      daemonize({ keepFds: [3], log: ${literal(log)} });
      worker.postMessage('after');
      await once(worker, 'exit');
      report('ended');
    `);
    const { stdout, reports } = await program.ended;
    expect(stdout).toBe('before\n');
    expect(reports).toEqual(['ended']);
    expect(readFileSync(log, 'utf8')).toBe('after\n');
  });
});
