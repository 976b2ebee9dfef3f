// A real systemd-journald and a real rsyslogd, each in a mount namespace with a /run and a /dev of its own: never the
// machine's.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { temporaryFolder } from './folder.js';
import { endWithTest } from './managers/ending.js';
import { node, root } from './node.js';
import { until } from './processes.js';
import { type Ended, execute, inline, launch } from './program.js';
import { isRoot } from './root.js';
import type { Running } from './running.js';

const JOURNALD = '/lib/systemd/systemd-journald';
const RSYSLOGD = '/usr/sbin/rsyslogd';

/** Tests that are skipped, visibly, where there is none. */
export const testWithJournal = test.skipIf(!isRoot || !existsSync(JOURNALD));
export const testWithRsyslog = test.skipIf(!isRoot || !existsSync(RSYSLOGD));

const NAMESPACE = `
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/dev /run/systemd/journal /run/log/journal
mount --rbind /dev /run/dev
mount -t tmpfs -o mode=755 tmpfs /dev
for name in null zero full random urandom tty ptmx kmsg; do
  [ ! -e /run/dev/$name ] || { touch /dev/$name; mount --bind /run/dev/$name /dev/$name; }
done
mkdir /dev/pts /dev/shm
mount --rbind /run/dev/pts /dev/pts; mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
touch /run/is-ready
exec sleep infinity`;

/** A mount namespace in which programs find the receiver where they look for it. */
class Namespace {
  readonly #pid: number;

  private constructor(pid: number) {
    this.#pid = pid;
  }

  static async make(): Promise<Namespace> {
    const holder = endsWithTest(
      spawn('unshare', ['--mount', '--propagation', 'private', 'bash', '-ec', NAMESPACE]),
    );
    const namespace = new Namespace(holder.pid!);
    await until(() => existsSync(namespace.path('/run/is-ready')), 'the namespace is there');
    return namespace;
  }

  /** A path of there, for here. */
  path(path: string): string {
    return `/proc/${this.#pid}/root${path}`;
  }

  words(command: string, ...words: string[]): [command: string, words: string[]] {
    return ['nsenter', ['-t', String(this.#pid), '-m', `--wd=${root}`, '--', command, ...words]];
  }

  spawn(command: string, ...words: string[]): ChildProcess {
    return endsWithTest(spawn(...this.words(command, ...words), { stdio: 'ignore' }));
  }

  /** Starts an inline program there. */
  start(source: string): Running<Ended> {
    return launch(...this.words(node, ...inline(source)));
  }
}

function endsWithTest(child: ChildProcess): ChildProcess {
  const ended = new Promise((resolve) => child.on('exit', resolve));
  endWithTest(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

/** What is read back: an object for each entry, or message. */
export type Entry = Record<string, string | string[] | number[] | null>;

export class Journal {
  readonly #namespace: Namespace;
  readonly #process: ChildProcess;

  private constructor(namespace: Namespace) {
    this.#namespace = namespace;
    this.#process = namespace.spawn(JOURNALD);
  }

  static async start(): Promise<Journal> {
    const namespace = await Namespace.make();
    const directory = namespace.path('/run/systemd');
    const settings = ['ReadKMsg=no', 'Audit=no', 'RateLimitIntervalSec=0', 'Storage=volatile'];
    writeFileSync(join(directory, 'journald.conf'), `[Journal]\n${settings.join('\n')}\n`);
    const journal = new Journal(namespace);
    await journal.#listens();
    return journal;
  }

  #listens(): Promise<void> {
    const socket = this.#namespace.path('/run/systemd/journal/socket');
    return until(() => existsSync(socket), 'journald listens');
  }

  run(source: string): Promise<Ended> {
    return this.start(source).ended;
  }

  start(source: string): Running<Ended> {
    return this.#namespace.start(source);
  }

  /** Has it read nothing, or go on. */
  freeze(is: boolean): void {
    this.#process.kill(is ? 'SIGSTOP' : 'SIGCONT');
  }

  /** The entries of an identifier, oldest first. */
  async entries(identifier: string): Promise<Entry[]> {
    const { stdout } = await execute(
      ...(this.#namespace.words(
        ...['journalctl', '-D', '/run/log/journal', '--quiet', '--all', '-o', 'json'],
        `SYSLOG_IDENTIFIER=${identifier}`,
      ) as [string, string[]]),
    );
    return objects(stdout);
  }
}

export class Rsyslog {
  readonly #namespace: Namespace;
  readonly #out: string;
  readonly #conf: string;
  #process: ChildProcess;

  private constructor(namespace: Namespace, directory: string, parser: 'on' | 'off') {
    this.#namespace = namespace;
    this.#out = join(directory, 'messages');
    this.#conf = join(directory, 'rsyslog.conf');
    const socket = `SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0" SysSock.UseSpecialParser="${parser}"`;
    const lines = [
      `module(load="imuxsock" ${socket})`,
      'template(name="all" type="string" string="%jsonmesg%\\n")',
      `action(type="omfile" file="${this.#out}" template="all")`,
    ];
    writeFileSync(this.#conf, `${lines.join('\n')}\n`);
    this.#process = this.#spawn();
  }

  /** @param parser whether it takes what comes for RFC 3164 as syslog(3) writes it, which is its default */
  static async start(parser: 'on' | 'off'): Promise<Rsyslog> {
    const rsyslog = new Rsyslog(await Namespace.make(), temporaryFolder(), parser);
    await rsyslog.#listens();
    return rsyslog;
  }

  #spawn(): ChildProcess {
    return this.#namespace.spawn(RSYSLOGD, '-n', '-f', this.#conf, '-i', '/run/rsyslogd.pid');
  }

  #listens(): Promise<void> {
    return until(() => existsSync(this.#namespace.path('/dev/log')), 'rsyslogd listens');
  }

  run(source: string): Promise<Ended> {
    return this.start(source).ended;
  }

  start(source: string): Running<Ended> {
    return this.#namespace.start(source);
  }

  /** It ends, and its socket is gone. */
  async stop(): Promise<void> {
    await stopped(this.#process);
    rmSync(this.#namespace.path('/dev/log'));
  }

  async startAgain(): Promise<void> {
    this.#process = this.#spawn();
    await this.#listens();
  }

  /** Without its own. */
  messages(): Entry[] {
    const all = existsSync(this.#out) ? objects(readFileSync(this.#out, 'utf8')) : [];
    return all.filter(({ programname }) => programname !== 'rsyslogd');
  }
}

async function stopped(process: ChildProcess): Promise<void> {
  process.kill('SIGKILL');
  await until(() => process.exitCode !== null || process.signalCode !== null, 'it has ended');
}

const objects = (text: string): Entry[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Entry);
