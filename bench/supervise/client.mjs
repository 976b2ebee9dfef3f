// Requests, one connection each.

import { connect } from 'node:net';

/**
 * node:cluster's primary may hand a connection to a worker that is dead, where it waits for ever. A
 * client gives up then and tries again. In ms.
 */
const PATIENCE = 100;

export const counts = { refused: 0, reset: 0 };

/** @returns the body, or undefined if there was no answer; what was refused is counted */
export function ask(port, path = '/', patience = PATIENCE) {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    );
    socket.setTimeout(patience, () => socket.destroy());
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('error', (error) => {
      if (error.code === 'ECONNREFUSED') counts.refused++;
      else counts.reset++;
    });
    socket.on('close', () => resolve(/\r\n\r\n(\d*)$/.exec(text)?.[1]));
  });
}

/** Asks until a process answers that is not the given one. @returns its pid */
export async function answer(port, except) {
  for (;;) {
    const pid = await ask(port);
    if (pid !== undefined && pid !== '' && pid !== except) return pid;
    await new Promise(setImmediate);
  }
}
