// The journal's socket for streams of lines, to which systemd connects the standard streams of services.

import { writeSync } from '../builtin/fs.js';
import { close } from '../posix/descriptor.js';
import { AF_UNIX, connect, SOCK_STREAM, socket } from '../posix/socket.js';
import type { MessageSettings } from './options.js';

/** LOG_INFO, for lines without a prefix. */
const PRIORITY = 6;

/**
 * Opens a stream of lines. Each may begin with its priority, as `<4>`, see sd-daemon(3).
 * @throws ENOENT, ECONNREFUSED: no journal listens there
 */
export function openJournalStream({ tag, facility }: MessageSettings, path: string): number {
  const fd = socket(AF_UNIX, SOCK_STREAM);
  try {
    connect(fd, { path });
    // The identifier; a unit, of which systemd alone may speak; the priority; whether a line may say its own; and whether
    // to send it on to syslog, the kernel's log and the console.
    writeSync(fd, `${tag}\n\n${facility * 8 + PRIORITY}\n1\n0\n0\n0\n`);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
