// process.stdin, stdout and stderr, and the console, after fd 0-2 lead elsewhere.
//
// A stream that was used before has a libuv handle with ways of its own: one for a terminal has a
// second descriptor of that terminal, and one that reads watches its descriptor with epoll, which
// refuses files. Streams that were not used yet, and those on files, need nothing.

import { createReadStream, type ReadStream, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { POLLOUT, poll } from '../posix/descriptor.js';

/** A stream on a descriptor that writes at once, as Node's own do for files. */
class DescriptorStream extends Writable {
  readonly fd: number;

  constructor(fd: number) {
    super({ decodeStrings: true, emitClose: false });
    this.fd = fd;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    try {
      writeAll(this.fd, chunk);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  // As process.stdout always was: it cannot be closed, somebody else may use it.
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    done(error);
  }
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
  _handle?: { close(): void } | null;
  _write: Writable['_write'];
  _writev: Writable['_writev'] | null;
}

/** Has an output stream of before write to the new one: loggers may have kept it. */
function forward(old: Internals, fresh: Writable): void {
  old._handle?.close();
  old._handle = null;
  old._write = (chunk, encoding, done) => void fresh.write(chunk, encoding, done);
  old._writev = null;
}

function define(name: 'stdin' | 'stdout' | 'stderr', get: () => unknown): void {
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get });
}

/** Replaces the streams for those of fd 0-2 that were redirected. Call it before the redirection. */
export function replaceStreams(redirected: readonly boolean[]): void {
  if (redirected[0]) {
    process.stdin.pause();
    process.stdin.destroy();
    let stdin: ReadStream | undefined;
    define('stdin', () => {
      stdin ??= createReadStream('', { fd: 0, autoClose: false });
      return stdin;
    });
  }
  for (const [fd, name, cached] of [
    [1, 'stdout', '_stdout'],
    [2, 'stderr', '_stderr'],
  ] as const) {
    if (!redirected[fd]) continue;
    const fresh = new DescriptorStream(fd);
    forward(process[name] as unknown as Internals, fresh);
    define(name, () => fresh);
    // The global console keeps the streams that it has used once.
    (console as unknown as Record<string, Writable>)[cached] = fresh;
  }
}
