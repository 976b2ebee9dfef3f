// The logger, as those have it who write to the log: a socket on which it is given pipes. It is a program of its own,
// native/logger/main.cc, and no child of anybody's here: it goes on when they end.

import { spawnSync } from '../builtin/child_process.js';
import { constants as os } from '../builtin/os.js';
import { close, POLLHUP, pipe, poll } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { nativeFile } from '../posix/parts.js';
import { findExecutable } from '../posix/path.js';
import {
  AF_UNIX,
  connect,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  sendmsg,
  socket,
  socketpair,
} from '../posix/socket.js';
import {
  type CaptureSettings,
  type FileSettings,
  type LogFields,
  type MessageSettings,
  members,
} from './options.js';

const LOGGER = 'doublefork-logger';

/** The pipes that this process has opened: part of their names. */
let opened = 0;

export class Capture {
  readonly settings: CaptureSettings;
  /** The socket. */
  readonly fd: number;

  /** @param fd handed over by the process that has started the logger */
  constructor(settings: CaptureSettings, fd: number) {
    this.settings = settings;
    this.fd = fd;
  }

  /**
   * Starts a logger. Its file must be there.
   * @throws ENOENT if the logger, or gzip(1), is missing; ENOENT, ECONNREFUSED or EACCES if nobody listens on the socket
   * of a syslog or the journal, or not to this user; the logger's own error if it cannot open the file
   */
  static start(settings: CaptureSettings): Capture {
    const program = nativeFile(LOGGER);
    if (program === undefined) {
      const why = `the package has no ${LOGGER} for this system, which writes captured logs: see docs/packaging.md`;
      throw posixError(-os.errno.ENOENT, 'execve', LOGGER, why);
    }
    if (settings.to !== 'file') look(settings);
    const [ours, its] = socketpair(AF_UNIX, SOCK_SEQPACKET);
    try {
      // It detaches itself, and has opened the file when this returns.
      const { error, status, signal, stderr } = spawnSync(program, argumentsOf(settings), {
        stdio: ['ignore', 'ignore', 'pipe', its],
        encoding: 'utf8',
      });
      if (error !== undefined) throw error;
      if (status !== 0) throw new Error(`the logger failed: ${stderr.trim() || signal || status}`);
      return new Capture(settings, ours);
    } catch (error) {
      close(ours);
      throw error;
    } finally {
      close(its);
    }
  }

  /**
   * Opens a pipe whose lines go to the log, those of no other pipe between them.
   * @param fields what lines of it have in JSON, beside those of all
   * @returns the end to write to
   * @throws EPIPE: there is no logger any more; EMFILE
   */
  open(fields: LogFields): number {
    const [read, write] = pipe();
    try {
      this.attach(read, fields);
      return write;
    } catch (error) {
      close(write);
      throw error;
    }
  }

  /** Gives a pipe's read end to the logger. @throws EPIPE, with the pipe closed */
  attach(read: number, fields: LogFields): void {
    try {
      const all = members({ ...fields, ...this.settings.fields }).join('\n');
      const data = Buffer.from(`A${process.pid}.${++opened}\n${all}`);
      sendmsg(this.fd, { data, fds: [read] });
    } finally {
      close(read);
    }
  }

  /** Has the logger open the file again under its path. It sees by itself that the file was moved, a moment later. */
  reopen(): void {
    sendmsg(this.fd, { data: Buffer.from('R') });
  }

  /**
   * Waits until what was written is in the log, or as long as said, in ms. A socket in place of a pipe is a mark: the
   * logger closes it once it has read what was in the pipes before.
   */
  flush(timeout: number): void {
    const [ours, its] = socketpair(AF_UNIX, SOCK_STREAM);
    try {
      this.attach(its, {});
      poll([{ fd: ours, events: 0 }], timeout);
    } finally {
      close(ours);
    }
  }

  /** Whether both of its processes were killed. */
  isGone(): boolean {
    return (poll([{ fd: this.fd, events: 0 }], 0)[0]! & POLLHUP) !== 0;
  }

  close(): void {
    close(this.fd);
  }
}

/** Whether there is somebody to send to. @throws as {@link Capture.start} does */
function look({ to, socket: path }: MessageSettings): void {
  const fd = socket(AF_UNIX, SOCK_DGRAM);
  try {
    connect(fd, { path });
  } catch (error) {
    const { errno, code } = error as { errno: number; code: string };
    const who = to === 'journal' ? 'systemd-journald' : 'a syslog daemon';
    const why = `the log cannot be sent to ${path} (${code}): see whether ${who} runs there`;
    throw posixError(errno, 'connect', path, why);
  } finally {
    close(fd);
  }
}

function argumentsOf(settings: CaptureSettings): string[] {
  return [
    ...(settings.to === 'file' ? fileArguments(settings) : messageArguments(settings)),
    ...['--on-full', settings.onFull],
  ];
}

function fileArguments(settings: FileSettings): string[] {
  const { file, maxSize, maxAge, maxFiles, compress, timestamps, json } = settings;
  return [
    ...['--file', file],
    ...['--max-size', String(maxSize)],
    ...['--max-age', String(maxAge)],
    ...['--max-files', String(maxFiles)],
    ...(compress ? ['--compress', findExecutable('gzip', '/', process.env.PATH ?? '')] : []),
    ...(timestamps === false ? [] : ['--timestamps', timestamps]),
    ...(json ? ['--format', 'json'] : []),
  ];
}

function messageArguments({ to, socket, tag, facility, format }: MessageSettings): string[] {
  return [
    ...[`--${to}`, socket],
    ...['--tag', tag],
    ...['--facility', String(facility)],
    ...(format === undefined ? [] : ['--rfc', format.slice('rfc'.length)]),
  ];
}
