// process.stdin, stdout and stderr, and the console, when fd 0-2 have come to lead elsewhere.
//
// A stream that was used before has a libuv handle, which does not notice: for a terminal it has a
// second descriptor of that terminal, and one that reads watches its descriptor with epoll, which
// refuses files. Streams that were not used yet, and output to files, need nothing.

import type { ReadStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { createReadStream, statSync, writeSync } from '../builtin/fs.js';
import { addon } from '../posix/addon.js';
import { POLLOUT, poll, setNonBlocking } from '../posix/descriptor.js';

/** A stream on a descriptor that writes at once, as Node's own do for files. */
function descriptorStream(fd: number): Writable {
  // Not imported: a program that has used none of the streams has no need of it.
  const { Writable } = process.getBuiltinModule('node:stream');
  const stream = new Writable({
    decodeStrings: true,
    emitClose: false,
    write(chunk: Buffer, _encoding, done) {
      try {
        writeAll(fd, chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    // As process.stdout always was: it cannot be closed, somebody else may use it.
    destroy(error, done) {
      done(error);
    },
  });
  return Object.assign(stream, { fd });
}

function writeAll(fd: number, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length; ) {
    try {
      at += writeSync(fd, chunk, at);
    } catch (error) {
      // A pipe or socket that somebody else has made non-blocking.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      poll([{ fd, events: POLLOUT }]);
    }
  }
}

/** What a stream of Node's has beside its public face. */
interface Internals {
  _handle?: { close(): void; fd?: number } | null;
  _write: Writable['_write'];
  _writev: Writable['_writev'] | null;
}

/** Has an output stream of before write where the new one does: loggers may have kept it. */
function forward(old: Internals, fresh: Writable): void {
  old._handle?.close();
  old._handle = null;
  // Not through its write(): that calls back later, and what comes until then would wait, in vain if
  // the program exits.
  old._write = (chunk, encoding, done) =>
    fresh._write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk, encoding, done);
  old._writev = null;
}

function define(name: 'stdin' | 'stdout' | 'stderr', get: () => unknown): void {
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get });
}

/**
 * Replaces the streams for those of fd 0-2 that were redirected. Call it before the redirection.
 * @param captured they become pipes, where Node's own would not wait: what is written to them would pile
 * up in memory, and be lost when the program exits
 * @returns the descriptors that the others have beside their own
 */
export function replaceStreams(
  redirected: readonly boolean[],
  captured = false,
): ReadonlySet<number> {
  const { descriptors, terminal } = addon.loopHandles();
  const used = terminal || descriptors.some((fd) => fd <= 2);
  // A file has no handle that would tell.
  if (redirected[0] && (used || statSync('/dev/fd/0', { throwIfNoEntry: false })?.isFile())) {
    replaceInput();
  }
  if (!used) {
    if (captured) for (const fd of [1, 2] as const) if (redirected[fd]) replaceUnusedOutput(fd);
    return new Set();
  }
  for (const fd of [1, 2] as const) if (redirected[fd]) replaceOutput(fd);
  // libuv made pipes non-blocking for all who share them: the next command of a shell's, too.
  for (const fd of [0, 1, 2]) if (redirected[fd]) setNonBlocking(fd, false);
  const kept = [process.stdin, process.stdout, process.stderr].flatMap((stream, fd) =>
    redirected[fd] ? [] : ((stream as unknown as Internals)._handle?.fd ?? []),
  );
  return new Set(kept);
}

/**
 * Replaces output streams that were used before, in a copy of the process: what the old ones had not yet written is the
 * original's to write, and the new ones write at once, for the copy may end with the next line.
 */
export function renewOutput(): void {
  const { descriptors, terminal } = addon.loopHandles();
  for (const fd of [1, 2] as const) if (terminal || descriptors.includes(fd)) replaceOutput(fd);
}

/** Made when it is used, as Node's own would be. */
function replaceUnusedOutput(fd: 1 | 2): void {
  let stream: Writable | undefined;
  define(fd === 1 ? 'stdout' : 'stderr', () => {
    stream ??= descriptorStream(fd);
    return stream;
  });
}

function replaceInput(): void {
  process.stdin.pause();
  process.stdin.destroy();
  let stdin: ReadStream | undefined;
  define('stdin', () => {
    stdin ??= createReadStream('', { fd: 0, autoClose: false });
    return stdin;
  });
}

function replaceOutput(fd: 1 | 2): void {
  const name = fd === 1 ? 'stdout' : 'stderr';
  const fresh = descriptorStream(fd);
  forward(process[name] as unknown as Internals, fresh);
  define(name, () => fresh);
  // The global console keeps the streams that it has used once.
  (console as unknown as Record<string, Writable>)[`_${name}`] = fresh;
}
