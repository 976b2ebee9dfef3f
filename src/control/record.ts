// What is known about a daemon that was started under a name: beside its pidfile, as NAME.json.

import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from '../builtin/fs.js';
import { join } from '../builtin/path.js';
import { isAlive, startTime } from '../pidfile/process.js';
import { text, whileTrying } from '../posix/errors.js';
import type { App } from './app.js';
import { controlFor, formerFolders, stateFolder } from './folders.js';

/** What is written down. */
export interface RecordFields {
  name: string;
  pid: number;
  /** Clock ticks after the boot. */
  startTime: number | undefined;
  /** Which boot: after another one the same pid and start time mean nothing. */
  boot: string | undefined;
  /** The session that was made for it; what it starts is in there, too. undefined: it is in another's. */
  session?: number;
  /** The control groups that it was started in, as /proc/PID/cgroup has them: whoever started it may be there, too. */
  groups?: string[] | undefined;
  /** When, in ms since 1970. */
  startedAt: number;
  pidfile: string;
  log: string | undefined;
  /** How to start it again: the options and the program with its arguments. */
  app: App;
  /** How it has ended, as far as somebody saw it: its start failed. */
  ended?: string;
  /** The config file that has the app, as the user came to it; undefined: the command line had. */
  config?: string | undefined;
  /** To which the app adds its own. */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** A record, and whether it is still true. */
export interface DaemonRecord extends RecordFields {
  /** Whether the very process that it is about is alive. */
  readonly isRunning: boolean;
  /** Whether the machine has not been started anew since: numbers of processes mean what they did. */
  readonly isOfThisBoot: boolean;
  /** Its control socket, if it is a supervisor. */
  readonly control: string;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** @throws ERR_INVALID_ARG_VALUE unless it can be the name of a file, and cannot lead elsewhere */
export function checkName(name: string): string {
  if (NAME.test(text(name, 'name'))) return name;
  throw Object.assign(
    new TypeError(
      `"${name}" cannot be a name: 1 to 64 letters, digits, and . _ @ - behind the first`,
    ),
    { code: 'ERR_INVALID_ARG_VALUE' },
  );
}

const pathOf = (name: string, folder = stateFolder()): string =>
  join(folder, `${checkName(name)}.json`);

/** @returns undefined if nothing is known of that name. @throws EACCES; an error if it is damaged */
export function readRecord(name: string): DaemonRecord | undefined {
  return (
    readFrom(stateFolder(), name) ?? firstOf(formerFolders(), (folder) => readFrom(folder, name))
  );
}

function firstOf<A, B>(list: readonly A[], find: (item: A) => B | undefined): B | undefined {
  for (const item of list) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function readFrom(folder: string, name: string): DaemonRecord | undefined {
  const path = pathOf(name, folder);
  let content: string;
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      content = readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw whileTrying(`cannot read the record ${path}`, error);
  }
  const fields = parse(content, path);
  const isOfThisBoot = fields.boot === bootId();
  return {
    ...fields,
    isOfThisBoot,
    isRunning: isOfThisBoot && isRunning(fields),
    control: controlFor(name, folder),
  };
}

function parse(content: string, path: string): RecordFields {
  try {
    return JSON.parse(content) as RecordFields;
  } catch (error) {
    throw new Error(`${path} is damaged, and can be removed`, { cause: error });
  }
}

function isRunning({ pid, startTime: started }: RecordFields): boolean {
  return started !== undefined && isAlive(pid) && startTime(pid) === started;
}

/** The names of which there is a record, in order. */
export function recordedNames(): string[] {
  const files = [stateFolder(), ...formerFolders()].flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder) : [],
  );
  const names = files.filter((file) => file.endsWith('.json'));
  return [...new Set(names.map((file) => file.slice(0, -'.json'.length)))].sort();
}

/** Notes who this process is; complete, or not at all. */
export function writeRecord(fields: Omit<RecordFields, 'pid' | 'startTime' | 'boot'>): void {
  const { pid } = process;
  const record: RecordFields = {
    ...fields,
    pid,
    startTime: startTime(pid),
    boot: bootId(),
  };
  write(record);
}

/** Notes how a start has failed that was begun at or after `since`, if it got as far as a record. */
export function noteEnd(name: string, since: number, ended: string): void {
  const record = readRecord(name);
  if (record === undefined || record.isRunning || record.startedAt < since) return;
  const { isRunning: _, isOfThisBoot: __, ...fields } = record;
  write({ ...fields, ended });
}

function write(record: RecordFields): void {
  const path = pathOf(record.name);
  const draft = `${path}.${process.pid}`;
  // The environment in it may hold secrets.
  try {
    writeFileSync(draft, `${JSON.stringify(record)}\n`, { flag: 'wx', mode: 0o600 });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw whileTrying(`cannot write the record ${path}`, error);
  }
}

export function removeRecord(name: string): void {
  for (const folder of [stateFolder(), ...formerFolders()]) {
    rmSync(pathOf(name, folder), { force: true });
  }
}

function bootId(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
