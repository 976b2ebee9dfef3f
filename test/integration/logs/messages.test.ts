// Logs that are no files: read back from a real systemd-journald and a real rsyslogd.

import { describe, expect, test } from 'vitest';
import { until } from '../../support/processes.js';
import { run } from '../../support/program.js';
import { Journal, Rsyslog, testWithJournal, testWithRsyslog } from '../../support/receivers.js';
import { WRITE_LINES } from './tools.js';

const numbered = (texts: readonly unknown[]): number[] =>
  texts
    .map((text) => /^w1 (\d+) x*$/.exec(String(text))?.[1])
    .filter((it) => it !== undefined)
    .map(Number);

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('the journal', () => {
  testWithJournal('lines are entries with fields, and how bad they are', async () => {
    const journal = await Journal.start();
    const program = await journal.run(
      `const { supervise } = doublefork;
      daemonize({ log: { to: 'journal', tag: 'shop', fields: { region: 'eu' } }, keepFds: [3] });
      const worker = supervise({ workers: 1, restart: 'never' });
      console.log('plain text');
      console.log('<3>an error by its prefix');
      console.log(JSON.stringify({ level: 50, time: 5, pid: 77, msg: 'two\\nlines \\u20ac', code_file: 'shop.js',
        code_line: 12, code_func: 'buy', order: { id: 1 }, region: 'own', priority: 'mine', _trusted: 1 }));
      console.log(JSON.stringify({ level: 'warn', message: "winston's" }));
      console.log(JSON.stringify({ level: 'silly', event: 'no message' }));
      console.log('{"level":50,');
      console.log('');
      process.stdout.write('no end');
      report(process.pid);`,
    );
    const [worker] = program.reports;
    let entries = await journal.entries('shop');
    await until(async () => {
      entries = await journal.entries('shop');
      return entries.some(({ MESSAGE }) => MESSAGE === 'no end');
    }, 'the last line is there');
    const own = entries.filter(({ WORKER, NAME }) => WORKER === '1' && NAME === undefined);
    expect(own.map(({ MESSAGE, PRIORITY }) => [MESSAGE, PRIORITY])).toEqual([
      ['plain text', '6'],
      ['an error by its prefix', '3'],
      ['two\nlines \u20ac', '3'],
      ["winston's", '4'],
      ['{"level":"silly","event":"no message"}', '7'],
      ['{"level":50,', '6'],
      ['', '6'],
      ['no end', '6'],
    ]);
    expect(own[0]).toMatchObject({
      SYSLOG_IDENTIFIER: 'shop',
      SYSLOG_FACILITY: '3',
      SYSLOG_PID: String(worker),
      GENERATION: '1',
      REGION: 'eu',
      _TRANSPORT: 'journal',
    });
    expect(own[2]).toMatchObject({
      CODE_FILE: 'shop.js',
      CODE_LINE: '12',
      CODE_FUNC: 'buy',
      ORDER: '{"id":1}',
      REGION: 'own',
      PRIORITY_: 'mine',
      TRUSTED: '1',
      SYSLOG_PID: '77',
    });
    // The supervisor's decisions.
    const decisions = entries.filter(({ NAME }) => NAME === 'doublefork');
    expect(decisions.length).toBeGreaterThan(0);
    expect(decisions[0]).toMatchObject({ SYSLOG_IDENTIFIER: 'shop' });
  });

  testWithJournal(
    'an entry that no datagram holds comes whole, one without an end in parts',
    async () => {
      const journal = await Journal.start();
      await journal.run(
        `daemonize({ log: { to: 'journal', tag: 'large' } });
      console.log('a'.repeat(900_000));
      console.log(JSON.stringify({ msg: 'b'.repeat(700_000), level: 30 }));
      console.log('c'.repeat(2_500_000));
      console.log('after');`,
      );
      let entries: Awaited<ReturnType<Journal['entries']>> = [];
      await until(async () => {
        entries = await journal.entries('large');
        return entries.at(-1)?.MESSAGE === 'after';
      }, 'all is there');
      const texts = entries.map(({ MESSAGE }) => String(MESSAGE));
      expect(texts[0]).toBe('a'.repeat(900_000));
      expect(texts[1]).toBe('b'.repeat(700_000));
      expect(texts.slice(2, -1).join('')).toBe('c'.repeat(2_500_000));
      expect(entries.map(({ PARTIAL }) => PARTIAL)).toEqual([
        undefined,
        undefined,
        '1',
        '1',
        undefined,
        undefined,
      ]);
    },
  );

  testWithJournal(
    'journald reads nothing for a while: the program waits, nothing is lost',
    async () => {
      const journal = await Journal.start();
      journal.freeze(true);
      const program = journal.start(
        `daemonize({ log: { to: 'journal', tag: 'slow' }, keepFds: [3] });
      report('runs');
      // More than pipe and logger hold.
      for (let i = 0; i < 600; i++) console.log('w1 ' + i + ' ' + 'x'.repeat(4000));
      report('done');`,
      );
      expect(await program.report()).toBe('runs');
      let isOver = false;
      const done = program.report().finally(() => {
        isOver = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(isOver).toBe(false);
      journal.freeze(false);
      expect(await done).toBe('done');
      await program.ended;
      let texts: unknown[] = [];
      await until(async () => {
        texts = (await journal.entries('slow')).map(({ MESSAGE }) => MESSAGE);
        return numbered(texts).at(-1) === 599;
      }, 'all is there');
      expect(numbered(texts)).toEqual(upTo(600));
      expect(texts.find((text) => String(text).startsWith('doublefork: '))).toMatch(
        /could not be written for \d+\.\d s \(.*\); nothing was lost$/,
      );
    },
  );

  testWithJournal(
    "with onFull: 'drop' the program does not wait, and an entry counts",
    async () => {
      const journal = await Journal.start();
      journal.freeze(true);
      const program = journal.start(
        `${WRITE_LINES} daemonize({ log: { to: 'journal', tag: 'drop', onFull: 'drop' }, keepFds: [3] });
      await writeLines(1, 0, 20000); report('done'); process.on('SIGTERM', () => process.exit());
      setInterval(() => {}, 1e6); report(process.pid);`,
      );
      expect(await program.report()).toBe('done');
      const daemon = (await program.report()) as number;
      journal.freeze(false);
      let gap: Record<string, unknown> | undefined;
      await until(async () => {
        gap = (await journal.entries('drop')).find(({ EVENT }) => EVENT === 'log-gap');
        return gap !== undefined;
      }, 'the gap is told');
      expect(gap).toMatchObject({ PRIORITY: '4', NAME: 'doublefork' });
      const [, dropped] = /: (\d+) lines, \d+ bytes, were dropped$/.exec(String(gap!.MESSAGE))!;
      process.kill(daemon, 'SIGTERM');
      await program.ended;
      const got = numbered((await journal.entries('drop')).map(({ MESSAGE }) => MESSAGE));
      expect(new Set(got).size).toBe(got.length);
      // A line that was cut by the gap is dropped in whole.
      expect(Math.abs(20_000 - got.length - Number(dropped))).toBeLessThanOrEqual(1);
    },
  );

  testWithJournal('stream: straight to journald, without a logger', async () => {
    const journal = await Journal.start();
    await journal.run(
      `daemonize({ log: { to: 'journal', tag: 'straight', stream: true } });
      console.log('plain'); console.error('<4>a warning'); console.log('x'.repeat(10000)); process.exit();`,
    );
    let entries: Awaited<ReturnType<Journal['entries']>> = [];
    await until(async () => {
      entries = await journal.entries('straight');
      return entries.length === 3;
    }, 'all is there');
    expect(entries.map(({ MESSAGE, PRIORITY }) => [MESSAGE, PRIORITY])).toEqual([
      ['plain', '6'],
      ['a warning', '4'],
      ['x'.repeat(10_000), '6'],
    ]);
    expect(entries[0]).toMatchObject({ _TRANSPORT: 'stdout', SYSLOG_FACILITY: '3' });
  });
});

describe('rsyslog', () => {
  testWithRsyslog('RFC 5424, with structured data', async () => {
    const rsyslog = await Rsyslog.start('off');
    await rsyslog.run(
      `const { supervise } = doublefork;
      daemonize({ log: { to: 'syslog', tag: 'shop', facility: 'local3', fields: { city: 'a "b" ]\\\\' } }, keepFds: [3] });
      const worker = supervise({ workers: 1, restart: 'never' });
      console.log('plain text');
      console.log('<3>an error by its prefix');
      console.log(JSON.stringify({ level: 50, msg: 'as it is' }));
      console.log('y'.repeat(20_000));
      console.log('last');`,
    );
    await until(() => rsyslog.messages().some(({ msg }) => msg === 'last'), 'all is there');
    const all = rsyslog.messages().filter((it) => String(it['structured-data']).includes('worker'));
    const [first, second, third, ...rest] = all;
    expect(first).toMatchObject({
      msg: 'plain text',
      syslogfacility: '19',
      syslogseverity: '6',
      'protocol-version': '1',
      'app-name': 'shop',
      procid: expect.stringMatching(/^\d+$/),
    });
    expect(first!['structured-data']).toMatch(
      /^\[doublefork@32473 worker="1" generation="1" city="a \\"b\\" \\\]\\\\"\]$/,
    );
    expect(second).toMatchObject({ msg: 'an error by its prefix', syslogseverity: '3' });
    expect(third).toMatchObject({ msg: '{"level":50,"msg":"as it is"}', syslogseverity: '3' });
    const long = rest.slice(0, -1);
    expect(long.map(({ msg }) => msg).join('')).toBe('y'.repeat(20_000));
    expect(long.map((it) => String(it['structured-data']).includes('partial="true"'))).toEqual([
      true,
      true,
      false,
    ]);
  });

  testWithRsyslog('RFC 3164, as rsyslogd reads it without any setting', async () => {
    const rsyslog = await Rsyslog.start('on');
    await rsyslog.run(
      `daemonize({ log: { to: 'syslog', tag: 'old', format: 'rfc3164' } });
      console.log('<4>text'); console.log('last');`,
    );
    await until(() => rsyslog.messages().length === 2, 'all is there');
    expect(rsyslog.messages()[0]).toMatchObject({
      msg: ' text',
      programname: 'old',
      syslogtag: expect.stringMatching(/^old\[\d+\]:$/),
      syslogseverity: '4',
    });
  });

  testWithRsyslog(
    'it is gone, and comes back: nothing is lost, and a message tells of it',
    async () => {
      const rsyslog = await Rsyslog.start('off');
      const program = rsyslog.start(
        `${WRITE_LINES} daemonize({ log: { to: 'syslog', tag: 'shop' }, keepFds: [3] });
      const stay = setInterval(() => {}, 1e6);
      await writeLines(1, 0, 1000);
      report(process.pid);
      await new Promise((go) => process.once('SIGUSR1', go));
      clearInterval(stay);
      await writeLines(1, 1000, 3000);
      report('done');`,
      );
      const pid = await program.report();
      const texts = () => rsyslog.messages().map(({ msg }) => msg);
      await until(() => numbered(texts()).length === 1000, 'the first are there');
      await rsyslog.stop();
      process.kill(pid, 'SIGUSR1');
      // A gap of less than a second is not told of.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await rsyslog.startAgain();
      expect(await program.report()).toBe('done');
      await program.ended;
      await until(() => numbered(texts()).at(-1) === 2999, 'all is there');
      expect(numbered(texts())).toEqual(upTo(3000));
      const gap = rsyslog.messages().find(({ msg }) => String(msg).startsWith('doublefork: '));
      expect(gap!.msg).toMatch(/could not be written for \d+\.\d s \(.*\); nothing was lost$/);
      expect(gap).toMatchObject({ syslogseverity: '4', 'app-name': 'shop' });
    },
  );
});

describe('what cannot be', () => {
  test.each([
    ["{ to: 'syslog', socket: '/tmp/no/log' }", 'ENOENT'],
    ["{ to: 'journal', socket: '/tmp/nobody' }", 'ENOENT'],
    ["{ to: 'journal', stream: true, socket: '/tmp/nobody' }", 'ENOENT'],
  ])('nobody listens: %s is refused at the start', async (log, code) => {
    const { reports } = await run(
      `try { daemonize({ log: ${log} }); }
      catch (error) { report([error.code, error.message]); }`,
    );
    expect(reports[0][0]).toBe(code);
  });

  test.each([
    [{ to: 'console' }, 'ERR_OUT_OF_RANGE'],
    [{ to: 'syslog', stream: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ to: 'journal', format: 'rfc5424' }, 'ERR_INVALID_ARG_VALUE'],
    [{ to: 'syslog', format: 'rfc1' }, 'ERR_OUT_OF_RANGE'],
    [{ to: 'syslog', facility: 'toString' }, 'ERR_OUT_OF_RANGE'],
    [{ to: 'syslog', tag: 'two words' }, 'ERR_OUT_OF_RANGE'],
    [{ to: 'syslog', maxSize: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [{ to: 'journal', stream: true, fields: { a: 1 } }, 'ERR_OUT_OF_RANGE'],
  ])('options %j', async (log, code) => {
    const { reports } = await run(
      `try { daemonize({ log: ${JSON.stringify(log)} }); } catch (error) { report(error.code); }`,
    );
    expect(reports).toEqual([code]);
  });
});
