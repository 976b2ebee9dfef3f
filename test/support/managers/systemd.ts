// A real systemd as process 1 of its own namespaces: never the machine's own.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { temporaryFolder } from '../folder.js';
import { until } from '../processes.js';
import { type Ended, execute } from '../program.js';
import { isRoot } from '../root.js';
import { endWithTest } from './ending.js';
import { COPY, type Done, enter, PREPARE, type World, type WorldVariables } from './world.js';

const SYSTEMD = '/lib/systemd/systemd';
/** The mount of cgroup2: beside those of version 1, or alone. */
const GROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) =>
  existsSync(join(path, 'cgroup.procs')),
);

/** @returns why no systemd can be booted; undefined: one can */
export function whyNoSystemd(): string | undefined {
  if (!isRoot) return 'needs root';
  if (!existsSync(SYSTEMD)) return `there is no ${SYSTEMD}`;
  return GROUPS === undefined ? 'there is no cgroup2' : undefined;
}

/** A test that is skipped, visibly, where no systemd can be booted. */
export const testWithSystemd = test.skipIf(whyNoSystemd() !== undefined);

// Since 254 it has / changed to a slave for its generators: it must be a mount.
const BOOT = `
[ -z "$ROOT" ] || mount --bind $ROOT $ROOT
[ -z "$APP" ] || { ${PREPARE} }
ip link set lo up; mount -t proc proc $ROOT/proc
mount --bind $ROOT/proc/sys $ROOT/proc/sys; mount -o remount,ro,bind $ROOT/proc/sys
if [ -n "$ROOT" ]; then
  mount --rbind /dev $ROOT/dev; mount -t sysfs sysfs $ROOT/sys; mount -t tmpfs -o mode=755 tmpfs $ROOT/sys/fs/cgroup 2>/dev/null || true
else umount -R /sys/fs/cgroup; fi
mount -t cgroup2 cgroup2 $ROOT/sys/fs/cgroup
mount -t tmpfs tmpfs $ROOT/etc/systemd/system
mount -t tmpfs -o mode=755 tmpfs $ROOT/run; mkdir -p $ROOT/run/lock $ROOT/run/systemd
eval "$MOUNTS"
${COPY}
if [ -n "$ROOT" ]; then
  for path in $BINDS; do mkdir -p $ROOT$path; mount --rbind $path $ROOT$path; done
  exec env -i PATH=$PATH container=lab SYSTEMD_UNIT_PATH=$UNITS:/etc/systemd/system chroot $ROOT ${SYSTEMD} --system --unit=t.target --log-target=console --show-status=false
fi
exec env -i PATH=$PATH container=lab SYSTEMD_UNIT_PATH=$UNITS:/etc/systemd/system ${SYSTEMD} --system --unit=t.target --log-target=console --show-status=false`;

/** The minimum that every unit needs in the lab, where there is no sysinit.target. */
const UNIT = '[Unit]\nDefaultDependencies=no\n';

/** What units depend on by themselves, or are installed for. */
const TARGETS = ['t', 'sysinit', 'basic', 'shutdown', 'network', 'sockets', 'multi-user'];

export class Systemd implements World {
  readonly #process: ChildProcess;
  readonly init: number;
  readonly ended: Promise<unknown>;
  readonly #group: string;
  /** The directory of its units. */
  readonly units: string;
  #output = '';

  private constructor(process: ChildProcess, init: number, group: string, units: string) {
    this.#process = process;
    this.ended = new Promise((resolve) => process.on('exit', resolve));
    this.init = init;
    this.#group = group;
    this.units = units;
    for (const stream of [process.stdout!, process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
  }

  /**
   * Boots one, which ends with the test.
   * @param units by name, the sections of each but [Unit]
   * @param root of another release, in which the machine's `binds` are mounted; default: the machine's own
   * @param world what else there is
   * @param mounts by where they are mounted, directories of the machine, which outlive it
   */
  static async boot(
    units: Readonly<Record<string, string>> = {},
    root = '',
    binds: readonly string[] = [],
    world?: WorldVariables,
    mounts: Readonly<Record<string, string>> = {},
  ): Promise<Systemd> {
    const directory = temporaryFolder();
    for (const name of TARGETS) writeFileSync(join(directory, `${name}.target`), UNIT);
    for (const [name, text] of Object.entries(units))
      writeFileSync(join(directory, name), unit(text));
    const group = mkdtempSync(join(GROUPS!, 'doublefork-'));
    const child = spawn(
      'bash',
      [
        '-ec',
        `echo $$ >${group}/cgroup.procs
exec unshare --cgroup --mount --pid --ipc --uts --net --fork --kill-child=SIGKILL --propagation private -- bash -ec '${BOOT}'`,
      ],
      {
        env: {
          PATH: process.env.PATH,
          UNITS: directory,
          ROOT: root,
          BINDS: [directory, ...binds].join(' '),
          MOUNTS: Object.entries(mounts)
            .map(([path, from]) => `mount --bind ${from} ${path}`)
            .join('; '),
          ...world,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const ended = new Promise((resolve) => child.on('exit', resolve));
    endWithTest(async () => {
      child.kill('SIGKILL');
      await ended;
      await until(() => isRemoved(group), 'the groups of systemd are empty');
    });
    let init = 0;
    await until(() => {
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      init = Number(children.trim());
      return init > 0 && readFileSync(`/proc/${init}/comm`, 'utf8').trim() === 'systemd';
    }, 'systemd runs');
    const systemd = new Systemd(child, init, group, directory);
    await until(
      async () => (await systemd.ctl('is-active', 't.target')).code === 0,
      'systemd has come up',
    ).catch(async (error) => {
      const { stdout, stderr } = await systemd.ctl('is-active', 't.target');
      throw new Error(`${error.message}: ${stdout}${stderr}${systemd.console}`);
    });
    return systemd;
  }

  /** What has been written to its standard output and error. */
  get console(): string {
    return this.#output;
  }

  /** Writes a unit, and has it read. */
  async write(name: string, text: string): Promise<void> {
    writeFileSync(join(this.units, name), unit(text));
    await this.ctl('daemon-reload');
  }

  /** systemctl */
  ctl(...args: string[]): Promise<Ended> {
    return this.exec('systemctl', ...args);
  }

  /** @throws with what it says, and the console, if it fails */
  async do(...args: string[]): Promise<void> {
    const { code, stderr } = await this.ctl(...args);
    if (code !== 0) throw new Error(`systemctl ${args.join(' ')}: ${stderr}\n${this.console}`);
  }

  /** One property of a unit. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.ctl('show', '--value', `--property=${property}`, unit)).stdout.trim();
  }

  /** Runs a command there, for as long as the test takes. */
  exec(command: string, ...args: string[]): Promise<Ended> {
    const namespaces = ['-t', String(this.init), '-m', '-p', '-n', '-i', '-u', '-C', '-r', '--'];
    return execute('nsenter', [...namespaces, command, ...args], { deadline: 900_000 });
  }

  /** Runs a command line of shell there. */
  sh(line: string): Promise<Done> {
    return enter(this.init, line);
  }

  /** Ends it at once, as when the power fails. */
  async halt(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.on('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
    await until(() => isRemoved(this.#group), 'the groups of systemd are empty');
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get group(): string {
    return this.#group;
  }
}

function unit(text: string): string {
  return text.includes('[Unit]') ? text : UNIT + text;
}

/** Those below it first; what has just ended may still be in one. */
function isRemoved(group: string): boolean {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true })) {
      if (entry.isDirectory() && !isRemoved(join(group, entry.name))) return false;
    }
    rmdirSync(group);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EBUSY') return false;
    // It was halted before.
    if (code === 'ENOENT') return true;
    throw error;
  }
}
