// Every error that the command prints, each provoked for real: a sentence for people, an object for
// machines.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { node } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { type Ended, execute, launch, run } from '../../support/program.js';
import { unprivileged } from '../../support/root.js';
import { COMMAND, Place } from './command.js';

const isRoot = process.getuid?.() === 0;

interface Row {
  /** What has happened before. */
  before?: (place: Place) => unknown;
  /** The command; `$` is the folder that it is given in. */
  words: string;
  /** Behind the `--`, if there are blanks in it. */
  program?: readonly string[];
  /** What stands behind `doublefork: `; the first line of it. `$` as above. */
  says: string | RegExp;
  /** In --json; none: the error is none of the system's. */
  code?: string;
  /** Default 1. */
  exit?: number;
  /** Given by a user who is not root, which this must be. */
  as?: 'nobody';
  /** What it takes to provoke it. */
  needs?: boolean;
  /** The second time, with --json, it is another error, or none. */
  once?: boolean;
  /** Given in a directory that is removed. */
  lost?: boolean;
  env?: Record<string, string>;
}

const runs = (place: Place) => place.run('start', '--name', 'web', '--', 'sleep', '100');
/** What a row has to put right behind it. */
let undo: (() => Promise<void>)[] = [];

const file =
  (name: string, content = '', mode = 0o644) =>
  (place: Place) => {
    writeFileSync(join(place.folder, name), content);
    chmodSync(join(place.folder, name), mode);
  };
const config = (content: string) => file('doublefork.config.yaml', content);
/** An app of the config file that runs; then the file is another one. */
const changed =
  (...then: [content?: string]) =>
  async (place: Place) => {
    await config('apps: { web: { program: sleep, args: [100] } }')(place);
    await place.run('start', 'web');
    rmSync(join(place.folder, 'doublefork.config.yaml'));
    if (then[0] !== undefined) config(then[0])(place);
    undo.push(async () => void (await place.run('stop', 'web')));
  };
/** Started, with what `options` say, and ended when the test has finished. */
const started =
  (options: string, ...program: string[]) =>
  async (place: Place) => {
    await place.run(
      'start',
      '--name',
      'web',
      ...options.split(' ').filter(Boolean),
      '--',
      ...program,
    );
    undo.push(async () => void (await place.run('stop', 'web', '--schedule', 'KILL/5')));
  };
/** Lets the user whom a row is given as read what root has recorded. */
const share = (place: Place) => {
  open(place);
  chownSync(join(place.state, 'web.json'), 65_533, 65_533);
};
const open = (place: Place) => chmodSync(place.folder, 0o777);

const ROWS: Row[] = [
  // What is to be started.
  {
    words: 'start -- nowhere',
    says: 'cannot run nowhere: there is no such program in PATH',
    code: 'ENOENT',
    exit: 127,
  },
  {
    words: 'start -- ./nowhere',
    says: 'cannot run $/nowhere: there is no such program there',
    code: 'ENOENT',
    exit: 127,
  },
  {
    words: 'start -- ./app.js',
    says: 'cannot run $/app.js: there is no such file',
    code: 'ENOENT',
    exit: 127,
  },
  {
    words: 'start -- /etc/passwd',
    says: 'cannot run /etc/passwd: what is there is not an executable file',
    code: 'EACCES',
    exit: 126,
  },
  {
    words: 'start --cwd gone -- sleep 9',
    says: '$/gone, where it is to run, does not exist',
    code: 'ENOENT',
  },
  {
    words: 'start --cwd /etc/passwd -- sleep 9',
    says: '/etc/passwd, where it is to run, is no directory',
    code: 'ENOTDIR',
  },
  { words: 'start --user nosuch -- sleep 9', says: 'there is no user nosuch', code: 'ENOENT' },
  { words: 'start --group nosuch -- sleep 9', says: 'there is no group nosuch', code: 'ENOENT' },
  {
    as: 'nobody',
    before: open,
    words: 'start --user root -- sleep 9',
    says: 'only root can start a program as another user or group',
    code: 'EPERM',
  },
  {
    as: 'nobody',
    before: open,
    words: 'start --limit nofile=9999999 -- sleep 9',
    says: /^the limit nofile cannot be set to 9999999: the hard limit here is \w+, and only root may raise it$/,
    code: 'EPERM',
  },
  {
    before: runs,
    words: 'start --name web -- sleep 9',
    says: /^web is already running \(pid \d+\)$/,
    code: 'EEXIST',
  },
  {
    words: 'start -- false',
    says: /^the program \(pid \d+\) exited with code 1/,
    code: 'ERR_START_FAILED',
  },
  {
    words: 'start --ready fd -- false',
    says: /^the program \(pid \d+\) exited with code 1 before it was ready$/,
    code: 'ERR_START_FAILED',
  },
  {
    words: 'start --ready notify --',
    program: ['sh', '-c', 'exit 7'],
    says: /^the program \(pid \d+\) exited with code 7 before it was ready$/,
    code: 'ERR_START_FAILED',
    exit: 7,
  },
  {
    words: 'start --ready fd --timeout 0.2 -- sleep 100',
    says: /^the daemon \(pid \d+\) was not ready within 200 ms and was killed$/,
    code: 'ERR_START_FAILED',
  },
  {
    words: 'start --restart always --ready fd --timeout 0.2 -- sleep 100',
    says: 'sleep was not started: the program was killed by SIGTERM (not ready) before it was ready; see doublefork logs sleep',
    code: 'ERR_START_FAILED',
  },
  {
    words: 'start --restart always -- false',
    says: 'false was not started: the program exited with code 1; see doublefork logs false',
    code: 'ERR_START_FAILED',
  },
  {
    words: 'start --foreground -- nowhere',
    says: 'cannot run nowhere: there is no such program in PATH',
    code: 'ENOENT',
    exit: 127,
  },
  {
    words: 'start --foreground --cwd gone -- sleep 9',
    says: '$/gone, where it is to run, does not exist',
    code: 'ENOENT',
  },
  {
    words: 'start --foreground --log gone/log -- sleep 9',
    says: 'cannot open $/gone/log: there is no such file or directory',
    code: 'ENOENT',
  },
  {
    before: file('pid', '', 0o666),
    words: 'start --foreground --pidfile pid -- sleep 9',
    says: 'the pidfile $/pid can be written by everybody',
    code: 'EPERM',
  },
  {
    before: config('apps: { a: { program: x }, b: { program: x } }'),
    words: 'start --foreground --all',
    says: 'one program at a time can be in the foreground; name one',
  },
  {
    as: 'nobody',
    before: (place) => {
      open(place);
      file('app.js', '', 0o000)(place);
    },
    words: 'start -- ./app.js',
    says: 'cannot run $/app.js: it cannot be read',
    code: 'EACCES',
    exit: 126,
  },
  {
    needs: !Reflect.get(process.features, 'typescript'),
    before: file('app.ts'),
    words: 'start -- ./app.ts',
    says: `cannot run $/app.ts: Node ${process.version} does not run TypeScript, and tsx is not installed here`,
    code: 'ENOTSUP',
    exit: 126,
  },
  {
    before: config('program: sleep\nlimits: { nofile: { soft: 99999999999 } }'),
    words: 'start',
    says: /^the soft limit nofile cannot be set to 99999999999: the hard limit is \d+$/,
    code: 'EINVAL',
  },
  {
    lost: true,
    words: 'start -- sleep 9',
    says: 'the working directory was removed; say by --cwd where the program is to run',
  },
  // Where its files are.
  {
    words: 'start --log gone/log -- sleep 9',
    says: 'cannot open $/gone/log: there is no such file or directory',
    code: 'ENOENT',
  },
  { words: 'start --log / -- sleep 9', says: 'cannot open /: it is a directory', code: 'EISDIR' },
  {
    words: 'start --pidfile gone/pid -- sleep 9',
    says: 'cannot open $/gone/pid: there is no such file or directory',
    code: 'ENOENT',
  },
  {
    before: file('pid', '', 0o666),
    words: 'start --pidfile pid -- sleep 9',
    says: 'the pidfile $/pid can be written by everybody',
    code: 'EPERM',
  },
  {
    before: (place) => symlinkSync('pid', join(place.folder, 'link')),
    words: 'start --pidfile link -- sleep 9',
    says: 'cannot open $/link: it is a symbolic link, or leads to too many of them',
    code: 'ELOOP',
  },
  {
    before: (place) => symlinkSync('/tmp', place.state),
    words: 'start -- sleep 9',
    says: 'the directory $/run is refused: it is a symbolic link',
    code: 'EPERM',
  },
  {
    before: (place) => {
      mkdirSync(place.state);
      chmodSync(place.state, 0o777);
    },
    words: 'start -- sleep 9',
    says: 'the directory $/run is refused: other users may write to it',
    code: 'EPERM',
  },
  {
    before: file('run'),
    words: 'start -- sleep 9',
    says: /^cannot read the record .*\/run\/sleep\.json: a part of the path is not a directory$/,
    code: 'ENOTDIR',
  },
  {
    before: file('log'),
    words: 'start -- sleep 9',
    says: '$/log is needed as a directory, and is none',
    code: 'ENOTDIR',
  },
  {
    needs: isRoot,
    before: (place) => {
      mkdirSync(place.state);
      chownSync(place.state, 1234, 1234);
    },
    words: 'start -- sleep 9',
    says: "the directory $/run is refused: it is user 1234's",
    code: 'EPERM',
  },
  {
    as: 'nobody',
    before: (place) => {
      open(place);
      mkdirSync(join(place.state, 'sleep.d'), { recursive: true });
      chownSync(join(place.state, 'sleep.d'), 65_533, 65_533);
    },
    words: 'start --log it.log --pidfile it.pid -- sleep 9',
    says: 'cannot write the record $/run/sleep.json: permission denied',
    code: 'ERR_START_FAILED',
  },
  {
    before: (place) => {
      const path = join(place.folder, 'pid');
      writeFileSync(path, '');
      const holder = spawn('flock', [path, 'sleep', '100'], { stdio: 'ignore', detached: true });
      undo.push(async () => {
        process.kill(-holder.pid!);
        await once(holder, 'exit');
      });
      return until(() => spawnSync('flock', ['-n', path, 'true']).status !== 0, 'the lock');
    },
    words: 'start --pidfile pid -- sleep 9',
    says: 'sleep is already being started by another command',
    code: 'EEXIST',
  },
  {
    env: { RUNTIME_DIRECTORY: '/proc/nowhere' },
    words: 'start -- sleep 9',
    says: 'cannot make the directory /proc/nowhere: there is no such file or directory',
    code: 'ENOENT',
  },
  // What the config file says.
  {
    words: 'start',
    says: 'there is no config file here; to start a program: doublefork start -- program args...',
  },
  {
    words: 'start --config gone.yaml',
    says: 'cannot read the config file $/gone.yaml: there is no such file or directory',
    code: 'ENOENT',
  },
  {
    words: 'start --config /',
    says: 'cannot read the config file /: it is a directory',
    code: 'EISDIR',
  },
  {
    before: config('apps: [web]'),
    words: 'start',
    says: /^doublefork\.config\.yaml:1: apps must be a set of apps by name, not \["web"\]$/,
  },
  {
    before: config('apps: {'),
    words: 'start',
    says: /^doublefork\.config\.yaml:1: Flow map in block collection must be sufficiently indented and end with a \}$/,
  },
  {
    before: config('program: x\nlimits: { nofile: .nan }'),
    words: 'start',
    says: 'doublefork.config.yaml:2: limits.nofile must be a whole number or "infinity", not .nan',
  },
  {
    before: config('apps: { a: { program: x }, b: { program: x } }'),
    words: 'start',
    says: 'which one of a, b? Name it, or start them by --all',
  },
  {
    before: config('apps: { a: { program: x } }'),
    words: 'start b',
    says: /^no daemon is known as b: none was started under that name, and .*config\.yaml has a; to start/,
  },
  {
    before: async (place) => {
      await config('program: x')(place);
      file('doublefork.config.json', '{}')(place);
    },
    words: 'start',
    says: 'there are several config files: $/doublefork.config.json, $/doublefork.config.yaml; give one by --config',
  },
  { words: 'check', says: 'there is no config file here; name one' },
  {
    before: config('program: x\ncolour: red'),
    words: 'check',
    says: /^doublefork\.config\.yaml:2: colour is not known here; known are name, program, /,
  },
  {
    before: config('program: x\nbackoff: { frist: 1 }'),
    words: 'check',
    says: 'doublefork.config.yaml:2: backoff.frist is not known here; known are initial, factor, max, jitter',
  },
  {
    before: config('program: x\nbackoff: { factor: 0 }'),
    words: 'check',
    says: 'doublefork.config.yaml:2: backoff.factor must be a number from 1 to 1000, not 0',
  },
  {
    before: config('program: ""'),
    words: 'check',
    says: 'doublefork.config.yaml:1: program must be a text that is not empty, not ""',
  },
  {
    before: config('program: x\nargs: y'),
    words: 'check',
    says: 'doublefork.config.yaml:2: args must be a list of texts, not "y"',
  },
  {
    before: config('program: x\nmemoryLimit: 512'),
    words: 'check',
    says: 'doublefork.config.yaml:2: memoryLimit must be a size with its unit, such as "512M" or "1.5 GB", not 512',
  },
  {
    before: file('it.mjs', 'throw new Error("no such colour")'),
    words: 'check it.mjs',
    says: 'cannot run the config file $/it.mjs: no such colour',
  },
  {
    needs: !Reflect.get(process.features, 'typescript'),
    before: file('it.ts'),
    words: 'check it.ts',
    says: `cannot read $/it.ts: Node ${process.version} does not run TypeScript; write it as .mjs`,
  },
  {
    before: config('program: x'),
    words: 'start --namespace none',
    says: 'no app is in the namespace none',
  },
  {
    before: changed(),
    words: 'restart web',
    says: 'web comes from $/doublefork.config.yaml, which is gone; give another file by --config',
  },
  {
    before: changed('apps: {}'),
    words: 'restart web',
    says: 'web comes from $/doublefork.config.yaml, which has no app of that name any more; give another file by --config',
  },
  {
    before: file('pid'),
    words: 'restart --pidfile pid',
    says: 'how $/pid was started is not known; stop it, and start it again',
  },
  {
    lost: true,
    before: async (place) => {
      await runs(place);
      await place.run('stop', 'web');
    },
    words: 'start web --log here.log',
    says: '--log must be an absolute path: the working directory was removed',
    exit: 2,
  },
  {
    lost: true,
    before: config('program: x\ncolour: red'),
    words: 'check $/doublefork.config.yaml',
    says: /doublefork\.config\.yaml:2: colour is not known here; known are name, program, /,
  },
  {
    // In JSON it is a finding, and no error.
    once: true,
    before: config('apps: { web: { program: sleep, pidfile: /gone/pid } }'),
    words: 'check',
    says: 'web: cannot open /gone/pid: there is no such file or directory',
  },
  // Words that are wrong.
  {
    words: 'start --name a/b -- x',
    says: '--name: "a/b" cannot be a name: 1 to 64 letters, digits, and . _ @ - behind the first',
    exit: 2,
  },
  {
    words: 'start --limit patience=1 -- x',
    says: /^--limit patience is no limit here; there are .*nofile/,
    exit: 2,
  },
  {
    words: 'start --umask 888 -- x',
    says: '--umask must be octal, from 000 to 777, in quotes: write "027", not "888"',
    exit: 2,
  },
  {
    words: 'start --timeout soon -- x',
    says: '--timeout must be a number of seconds, such as 30 or 0.5, or a text such as "2 min", not "soon"',
    exit: 2,
  },
  {
    words: 'start --env A -- x',
    says: "option '--env <name=value>' argument 'A' is invalid. It must be NAME=VALUE.",
    exit: 2,
  },
  { words: 'start a b -- x', says: 'a name and a program: give one of them', exit: 2 },
  { words: 'start --', says: 'no program behind the --', exit: 2 },
  { words: 'stop a --all', says: 'all, or a: give one of them' },
  {
    words: 'logs -n many',
    says: "option '-n, --lines <count>' argument 'many' is invalid. It must be a number of lines.",
    exit: 2,
  },
  {
    words: 'top --interval 0',
    says: /^option '--interval <\w+>' argument '0' is invalid. It must be a number of seconds from 0.1 to 86400.$/,
    exit: 2,
  },
  {
    words: 'top --count 0',
    says: /^option '--count <\w+>' argument '0' is invalid. It must be a number from 1.$/,
    exit: 2,
  },
  { words: 'start --nonsense', says: "unknown option '--nonsense'", exit: 2 },
  { words: 'nonsense', says: "unknown command 'nonsense'", exit: 2 },
  {
    words: 'stop --schedule TERM/x',
    says: /^option '--schedule <schedule>' argument 'TERM\/x' is invalid. The schedule "TERM\/x" cannot be read: "x" is neither a signal nor a number of seconds. An example: TERM\/5\/KILL\/2/,
    exit: 2,
  },
  { words: 'scale web', says: 'how many workers? Their number comes last', exit: 2 },
  // Whom it is about.
  {
    words: 'stop web',
    says: 'no daemon is known as web: none was started under that name, and no config file here has it; see doublefork list',
  },
  {
    before: runs,
    words: 'stop web other',
    says: /^no daemon is known as other: .*; see doublefork list. Nothing was done$/,
  },
  {
    words: 'stop ../x',
    says: '"../x" cannot be a name: 1 to 64 letters, digits, and . _ @ - behind the first',
    code: 'ERR_INVALID_ARG_VALUE',
  },
  { words: 'stop', says: 'no daemon is known here; name one' },
  {
    before: async (place) => {
      await runs(place);
      await place.run('stop', 'web');
    },
    words: 'reload web',
    says: 'web is not running: there is no pidfile',
    code: 'ESRCH',
  },
  {
    before: async (place) => {
      await runs(place);
      const { pid } = await place.status('web');
      process.kill(pid, 'SIGKILL');
      await until(() => (stat(pid)?.state ?? 'Z') === 'Z', 'killed');
    },
    words: 'signal HUP web',
    says: /^web is not running: the pidfile is left over: process \d+ does not exist$/,
    code: 'ESRCH',
  },
  {
    before: runs,
    words: 'signal nonsense web',
    says: '"nonsense" is neither a signal nor a command of web; its commands are stop, reload, reopen',
  },
  {
    before: (place) => {
      mkdirSync(place.state);
      writeFileSync(join(place.state, 'web.json'), '{');
    },
    words: 'stop web',
    says: '$/run/web.json is damaged, and can be removed',
  },
  {
    before: (place) => {
      mkdirSync(join(place.state, 'web.json'), { recursive: true });
    },
    words: 'stop web',
    says: 'cannot read the record $/run/web.json: it is a directory',
    code: 'EISDIR',
  },
  {
    before: file('pid', '', 0o666),
    words: 'reload --pidfile pid',
    says: /^the daemon of \$?.*pid is not running: the pidfile is not locked, and names no process$/,
    code: 'ESRCH',
  },
  {
    before: async (place) => {
      await started('', 'sleep', '100')(place);
      const pidfile = join(place.state, 'web.pid');
      chmodSync(pidfile, 0o666);
      undo.unshift(async () => chmodSync(pidfile, 0o644));
    },
    words: 'signal TERM web',
    says: 'the pidfile $/run/web.pid can be written by everybody, so that it could name anyone',
    code: 'EPERM',
  },
  {
    as: 'nobody',
    before: async (place) => {
      await started('', 'sleep', '100')(place);
      share(place);
    },
    words: 'stop web',
    says: /^web: process \d+ is running, and is another user's: this user may not signal it$/,
    code: 'EPERM',
  },
  {
    as: 'nobody',
    before: async (place) => {
      await started('', 'sleep', '100')(place);
      share(place);
    },
    words: 'signal TERM web',
    says: /^process \d+ is running, and is another user's: this user may not signal it$/,
    code: 'EPERM',
  },
  {
    as: 'nobody',
    before: async (place) => {
      const change = 'setpriv --reuid=65533 --regid=65533 --clear-groups';
      await started('', 'sh', '-c', `sleep 100 & exec ${change} sleep 100`)(place);
      share(place);
    },
    once: true,
    words: 'stop web',
    says: /^web: the daemon has ended, but what it had started still runs, and this user may not signal all of them: process \d+ \(sleep 100\)$/,
    code: 'EPERM',
  },
  {
    before: started(
      '',
      // Without children that come and go: the list would be another one each time.
      ...['sh', '-c', `sh -c 'trap "" TERM; exec sleep 99' & exec sleep 100`],
    ),
    words: 'stop web --schedule TERM/0.5',
    says: /^web: the daemon has ended, but what it had started still runs, and the schedule is over: process \d+ \(sleep 99\)/,
    code: 'ETIMEDOUT',
  },
  {
    before: started('', 'sh', '-c', 'trap : TERM; while :; do sleep 0.05; done'),
    words: 'stop web --schedule TERM/0.2',
    says: /^web: process \d+ still runs after SIGTERM$/,
    code: 'ETIMEDOUT',
  },
  // Supervisors.
  {
    before: runs,
    words: 'scale web 2',
    says: 'web ($/run/web.d/control): no supervisor listens there',
    code: 'ENOENT',
  },
  {
    words: `top --control ${'x'.repeat(200)}`,
    says: /: the path has more than the \d+ bytes that the path of a socket can have$/,
  },
  {
    words: 'scale --pidfile pid 2',
    says: /^which control socket belongs to .*\/pid is not known; give it by --control$/,
  },
  { words: 'top', says: 'no daemon is known here; start one first' },
  // Logs.
  {
    before: runs,
    words: 'logs --pidfile pid',
    says: 'which log belongs to a pidfile is not known; give a name',
  },
];

/** What no person should have to read. */
const NOISE = new RegExp(
  `\\b(${[...Object.keys(constants.errno), 'NaN', 'execve', 'undefined', 'object Object'].join('|')})\\b|RLIMIT_|The "\\w+" argument|^it `,
);

const usable = ROWS.filter((row) => row.needs !== false && (row.as === undefined || isRoot));

describe('an error is a sentence that says what failed, on what, why', () => {
  test.each(usable.map((row) => [row.words, row] as const))('%s', async (_, row) => {
    const place = new Place();
    undo = row.before === runs ? [async () => void (await place.run('stop', 'web'))] : [];
    try {
      await row.before?.(place);
      const [name, ...written] = row.words.replaceAll('$', place.folder).split(' ');
      const words = [...written, ...(row.program ?? [])];
      const plain = await give(place, row, [name!, ...words]);
      const [first, ...rest] = plain.stderr
        .replace(/^(waiting for|stopping) .*\n/gm, '')
        .split('\n');
      expect({ code: plain.code, stdout: plain.stdout }).toEqual({
        code: row.exit ?? 1,
        stdout: '',
      });
      expect(first).toMatch(/^doublefork: /);
      const sentence = first!.replace('doublefork: ', '');
      const says = typeof row.says === 'string' ? row.says.replaceAll('$', place.folder) : row.says;
      if (typeof says === 'string') expect(sentence).toBe(says);
      else expect(sentence).toMatch(says);
      expect(sentence.replaceAll(place.folder, '')).not.toMatch(NOISE);
      expect(rest.join('\n')).not.toMatch(/^ +at /m);

      if (!row.once && name !== 'logs' && name !== 'top' && name !== 'nonsense') {
        const json = await give(place, row, [name!, '--json', ...words]);
        expect(json.code).toBe(row.exit ?? 1);
        // What was done, of none of them.
        expect(json.stdout).toMatch(/^(\[\]\n)?$/);
        const { error, code } = JSON.parse(json.stderr);
        // Another process each time.
        const first = error.split('\n')[0];
        expect(first.replace(/\d+/g, 'N')).toBe(sentence.replace(/\d+/g, 'N'));
        expect(code).toBe(row.code);
      }
    } finally {
      for (const each of undo) await each();
    }
  });
});

async function give(place: Place, row: Row, words: string[]): Promise<Ended> {
  const env = { ...place.env, ...row.env };
  if (row.lost) {
    const script = 'mkdir lost && cd lost && rmdir ../lost && exec "$@"';
    const options = { cwd: place.folder, env };
    return await launch('sh', ['-c', script, '-', node, COMMAND, ...words], options).ended;
  }
  if (row.as === undefined) return await place.launch(words, { env }).ended;
  const [command, ...args] = [...unprivileged, node, COMMAND, ...words];
  return await launch(command!, args, { cwd: place.folder, env }).ended;
}

test('an error of the library that nobody catches says its sentence before Node’s dump', async () => {
  const { code, stderr } = await run(`daemonize({ log: '/nowhere/log' });`);
  const sentence = 'cannot open /nowhere/log: there is no such file or directory';
  expect(code).toBe(1);
  expect(stderr.split('\n')[0]).toBe(`doublefork: ${sentence}`);
  expect(stderr).toContain(`Error: ${sentence}\n    at `);
  expect(stderr).toContain("code: 'ENOENT'");
});

test('a reader that has gone ends the command without a word', async () => {
  const place = new Place();
  const script = `( "$@"; echo "$?" >&2 ) | true`;
  const { stderr } = await execute('sh', ['-c', script, '-', node, COMMAND, 'manual'], {
    env: place.env,
  });
  expect(stderr).toBe('141\n');
});
