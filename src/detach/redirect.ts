// Where fd 0-2 lead. Files are opened in the launcher, where an error changes nothing yet; dup2
// puts them in place in the daemon.

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  unlinkSync,
} from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import type { HandedOver } from '../image/handoff.js';
import { Capture } from '../logs/capture.js';
import { openJournalStream } from '../logs/journal-stream.js';
import type { CaptureSettings, FileSettings } from '../logs/options.js';
import { dup, dup2, O_CLOEXEC, open, setNonBlocking } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { NULL_DEVICE, openNull } from '../posix/null.js';
import type { StreamTarget } from './options.js';

/** undefined: as it is. */
interface Owner {
  uid?: number | undefined;
  gid?: number | undefined;
}

type FileLog = Extract<StreamTarget, { kind: 'file' }>;

/** Descriptors above 2, ready to be moved onto 0-2. */
export class Redirection implements Disposable {
  /** For each of fd 0-2 what to put there; undefined: leave it. */
  readonly #sources: (number | undefined)[] = [];
  /** By path, the descriptor of a file that was not there before. */
  readonly #created = new Map<string, number>();
  readonly #emptied: number[] = [];
  /** Those of fd 1 and 2 that lead to a logger. */
  readonly #captured = new Map<number, CaptureSettings>();
  #capture: Capture | undefined;
  /** The file of that, until the logger has it. */
  #logFd: number | undefined;

  /**
   * Opens all targets.
   * @param umask the daemon's, for the mode of files it creates
   * @param owner of those; otherwise the user that the daemon changes to could not open them again
   * @throws the error of open(2) with the path, after undoing what was done
   */
  static open(stdio: readonly StreamTarget[], umask: number, owner: Owner = {}): Redirection {
    const redirection = new Redirection();
    try {
      const opened = new Map<string, number>();
      for (const [fd, target] of stdio.entries()) {
        redirection.#sources.push(redirection.#open(target, fd, umask, opened));
      }
      redirection.#giveTo(owner);
      // Last: it opens the file by itself.
      const [log] = redirection.#captured.values();
      if (log !== undefined) redirection.#capture = Capture.start(log);
      return redirection;
    } catch (error) {
      redirection.abandon();
      throw error;
    }
  }

  /** What another process has opened, and handed over with its {@link descriptors}. */
  static adopt(
    stdio: readonly StreamTarget[],
    handedOver: readonly (HandedOver | null)[],
  ): Redirection {
    const redirection = new Redirection();
    for (const [fd, target] of stdio.entries()) {
      const source = handedOver[fd];
      if (target.kind === 'captured' && source) {
        redirection.#sources.push(undefined);
        redirection.#captured.set(fd, target.log);
        redirection.#capture = new Capture(target.log, source.fd);
        if (source.created && target.log.to === 'file') {
          redirection.#created.set(target.log.file, source.fd);
        }
        continue;
      }
      redirection.#sources.push(source?.fd);
      if (source && target.kind === 'file' && fd !== 0) {
        redirection.#note(source.fd, target, source.created);
      }
    }
    return redirection;
  }

  /** What will be put onto fd 0-2, of a captured log the logger's socket; undefined: nothing. */
  get descriptors(): readonly (HandedOver | undefined)[] {
    const created = new Set(this.#created.values());
    return this.#sources.map((source, index) => {
      const log = this.#captured.get(index);
      if (log !== undefined) {
        const isCreated = log.to === 'file' && this.#created.has(log.file);
        return { fd: this.#capture!.fd, created: isCreated };
      }
      return source === undefined ? undefined : { fd: source, created: created.has(source) };
    });
  }

  /** The logger, if one writes what goes to 1 and 2. It stays when this is disposed of. */
  get capture(): Capture | undefined {
    return this.#capture;
  }

  #giveTo({ uid, gid }: Owner): void {
    // Without root the change of user fails, and says so better.
    if ((uid === undefined && gid === undefined) || process.geteuid?.() !== 0) return;
    for (const fd of this.#created.values()) fchownSync(fd, uid ?? -1, gid ?? -1);
  }

  #note(fd: number, { path, append }: FileLog, created: boolean): void {
    if (created) this.#created.set(path, fd);
    if (!append) this.#emptied.push(fd);
  }

  #open(
    target: StreamTarget,
    fd: number,
    umask: number,
    opened: Map<string, number>,
  ): number | undefined {
    switch (target.kind) {
      case 'keep':
        return undefined;
      case 'null': {
        const nullFd = opened.get(NULL_DEVICE) ?? openNull();
        opened.set(NULL_DEVICE, nullFd);
        return nullFd;
      }
      case 'descriptor':
        // A second descriptor: the number asked for may be 0, 1 or 2, and overwritten by then.
        return dup(target.fd);
      case 'captured': {
        const { log } = target;
        if (this.#captured.size === 0 && log.to === 'file') this.#makeLog(log, umask);
        this.#captured.set(fd, log);
        return undefined;
      }
      case 'stream': {
        const { log } = target;
        const known = opened.get(log.socket);
        if (known !== undefined) return dup(known);
        const stream = openJournalStream(log, log.socket);
        opened.set(log.socket, stream);
        return stream;
      }
      case 'file': {
        // One open file for both streams, so that an emptied log is emptied once.
        const key = `${target.path}\0${target.mode}\0${target.append}`;
        const known = fd === 0 ? undefined : opened.get(key);
        if (known !== undefined) return dup(known);
        if (fd === 0) return openInput(target.path);
        const file = openLog(target, umask);
        this.#note(file.fd, target, file.created);
        opened.set(key, file.fd);
        return file.fd;
      }
    }
  }

  /** The logger's file, made as any log is; and no device, which cannot be rotated. */
  #makeLog({ file, mode }: FileSettings, umask: number): void {
    const { fd, created } = openLog({ kind: 'file', path: file, mode, append: true }, umask);
    this.#logFd = fd;
    if (created) this.#created.set(file, fd);
    if (fstatSync(fd).isFile()) return;
    const why = `${file} is no regular file, and cannot be captured to; give the path alone, to write to it straight`;
    throw posixError(-os.errno.EINVAL, 'open', file, why);
  }

  /** Puts the targets onto 0-2. Files lose what they hold only now that the start succeeds. */
  apply(): void {
    for (const fd of this.#emptied) ftruncateSync(fd);
    for (const [fd, source] of this.#sources.entries()) {
      if (source !== undefined) dup2(source, fd);
    }
    if (this.#capture !== undefined) {
      // Opened by who writes to it: its lines have the pid.
      const pipe = this.#capture.open({ pid: process.pid });
      for (const fd of this.#captured.keys()) dup2(pipe, fd);
      closeSync(pipe);
    }
    this[Symbol.dispose]();
  }

  /** Closes them, and removes the files that were created for this. */
  abandon(): void {
    this[Symbol.dispose]();
    this.#capture?.close();
    for (const path of this.#created.keys()) unlinkSync(path);
  }

  [Symbol.dispose](): void {
    for (const source of new Set(this.#sources)) if (source !== undefined) closeSync(source);
    this.#sources.length = 0;
    if (this.#logFd !== undefined) closeSync(this.#logFd);
    this.#logFd = undefined;
  }
}

function openInput(path: string): number {
  return open(path, constants.O_RDONLY | constants.O_NOCTTY | O_CLOEXEC);
}

/** Opens a file to write to, behind what it holds; creates it with exactly the mode asked for. */
function openLog({ path, mode }: FileLog, umask: number): { fd: number; created: boolean } {
  // Not blocking: a FIFO that nobody reads is refused (ENXIO), where the start would wait for a reader.
  const flags =
    constants.O_WRONLY | constants.O_APPEND | constants.O_NOCTTY | constants.O_NONBLOCK | O_CLOEXEC;
  try {
    const fd = open(path, flags | constants.O_CREAT | constants.O_EXCL, 0o600);
    fchmodSync(fd, mode ?? 0o666 & ~umask);
    return { fd, created: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // O_CREAT still: a dangling link, or a file that was there a moment ago.
  const fd = open(path, flags | constants.O_CREAT, mode ?? 0o666 & ~umask);
  setNonBlocking(fd, false);
  return { fd, created: false };
}

/**
 * Opens the log files again under their paths and puts them onto 1 and 2, after a rotation.
 * @throws the error of open(2); then none is replaced
 */
export function reopen(stdio: readonly StreamTarget[], umask: number): void {
  const logs = stdio.map<StreamTarget>((target, fd) =>
    fd > 0 && target.kind === 'file' ? { ...target, append: true } : { kind: 'keep' },
  );
  Redirection.open(logs, umask).apply();
}
