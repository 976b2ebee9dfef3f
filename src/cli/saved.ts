// What is to come back at boot: daemons as they were started, in a file that outlives the boot.

import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from '../builtin/fs.js';
import { userInfo } from '../builtin/os.js';
import { dirname, join } from '../builtin/path.js';
import { type DaemonRecord, readRecord, recordedNames } from '../control/record.js';
import { whileTrying } from '../posix/errors.js';

/** How a daemon is started again. */
export type SavedDaemon = Pick<DaemonRecord, 'name' | 'app' | 'config' | 'environment'>;

/** Not where the records are: those of root do not outlive the boot. */
export function savedFile(): string {
  if (process.geteuid!() === 0) return '/var/lib/doublefork/saved.json';
  return join(userInfo().homedir, '.local/share/doublefork/saved.json');
}

/** @returns undefined: nothing was ever saved @throws EPERM for a file that somebody else could have written */
export function readSaved(): SavedDaemon[] | undefined {
  const file = savedFile();
  if (!existsSync(file)) return undefined;
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { uid, mode } = fstatSync(fd);
    if (uid !== process.geteuid!() || (mode & 0o022) !== 0) {
      const why = `${file} is refused: another user could have written it, and it says what is started`;
      throw Object.assign(new Error(why), { code: 'EPERM', path: file });
    }
    return JSON.parse(readFileSync(fd, 'utf8')) as SavedDaemon[];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`${file} is damaged: save again`, { cause: error });
  } finally {
    closeSync(fd);
  }
}

/** What runs here, and the names of what does not. */
export function whatRuns(): { running: SavedDaemon[]; stopped: string[] } {
  const running: SavedDaemon[] = [];
  const stopped: string[] = [];
  for (const name of recordedNames()) {
    const record = readRecord(name);
    if (record?.isRunning !== true) stopped.push(name);
    else {
      const { app, config, environment } = record;
      running.push({ name, app, config, environment });
    }
  }
  return { running, stopped };
}

/** Complete, or not at all; for its owner alone: there are secrets in environments. */
export function writeSaved(daemons: readonly SavedDaemon[]): void {
  const file = savedFile();
  const draft = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    chmodSync(dirname(file), 0o700);
    writeFileSync(draft, `${JSON.stringify(daemons, null, 2)}\n`, { flag: 'wx', mode: 0o600 });
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw whileTrying(`cannot write ${file}`, error);
  }
}

/** In a sentence. */
export const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

/** What was done, for people. */
export function saidOf(running: readonly SavedDaemon[], stopped: readonly string[]): string[] {
  const names = listed(running.map(({ name }) => name));
  return [
    `saved ${names} in ${savedFile()}, which only its owner can read (mode 0600): how they were started, with all variables of their environment, secrets among them`,
    ...(stopped.length === 0 ? [] : [`left out, since not running: ${listed(stopped)}`]),
  ];
}
