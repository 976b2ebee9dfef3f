// A worker's side of data-socket.ts: says that it has something to leave, and leaves it when it is asked.

import { dataAddress } from '../image/handoff.js';
import { collectHandover, onHandover } from '../image/handover.js';
import { close } from '../posix/descriptor.js';
import { sentenceOf } from '../posix/errors.js';
import { onFork } from '../posix/fork-hooks.js';
import { AF_UNIX, connect, SOCK_STREAM, sendmsg, socket } from '../posix/socket.js';

/** A longer one would not go over the socket at once. */
const LONGEST_ERROR = 16_384;

/** Has this worker asked for what it leaves, from the moment at which there is something. */
export function leaveDataOf(worker: number): void {
  let isConnected = false;
  onHandover(() => {
    if (isConnected || dataAddress.own === undefined) return;
    isConnected = true;
    connectTo(dataAddress.own, worker);
  });
}

function connectTo(
  { address, secret, image }: NonNullable<typeof dataAddress.own>,
  worker: number,
): void {
  const fd = socket(AF_UNIX, SOCK_STREAM);
  try {
    connect(fd, { path: address });
    sendmsg(fd, { data: Buffer.from(`${JSON.stringify({ secret, image, worker })}\n`) });
  } catch (error) {
    close(fd);
    throw error;
  }
  const { Socket } = process.getBuiltinModule('node:net');
  // It does not keep the worker alive, and its end is the supervisor's, which ends the worker.
  const keeper = new Socket({ fd }).unref().on('error', () => {});
  let text = '';
  keeper.setEncoding('utf8').on('data', (data: string) => {
    const lines = `${text}${data}`.split('\n');
    text = lines.pop()!;
    for (const line of lines) void answer(fd, (JSON.parse(line) as { id: number }).id);
  });
  // A copy of this worker is asked nothing.
  onFork({ child: () => void keeper.destroy() });
}

async function answer(fd: number, id: number): Promise<void> {
  try {
    const left = await collectHandover();
    if (left === undefined) return say(fd, { id, nothing: true }, []);
    try {
      say(fd, { id, names: Object.keys(left.fds) }, [left.data, ...Object.values(left.fds)]);
    } finally {
      close(left.data);
    }
  } catch (error) {
    say(fd, { id, error: sentenceOf(error).slice(0, LONGEST_ERROR) }, []);
  }
}

function say(fd: number, message: object, fds: readonly number[]): void {
  try {
    sendmsg(fd, { data: Buffer.from(`${JSON.stringify(message)}\n`), fds: [...fds] });
  } catch (error) {
    // The supervisor has ended, and this worker with it.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}
