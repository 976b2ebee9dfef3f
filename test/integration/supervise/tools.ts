// What the tests of supervise() have in common.

import { connect } from 'node:net';
import type { Ended } from '../../support/program.js';

/** In front of the programs: a worker that serves until it is told to end. */
export const SERVE = `
const { supervise, listen } = doublefork;
const http = await import('node:http');
`;

/** The lines that a supervisor has told on stderr. */
// biome-ignore lint/suspicious/noExplicitAny: each test knows what it looks for
export function decisions({ stderr }: Pick<Ended, 'stderr'>, event?: string): any[] {
  return stderr
    .split('\n')
    .slice(0, -1) // What follows the last one is still being written.
    .filter((line) => line.startsWith('{"level"'))
    .map((line) => JSON.parse(line))
    .filter((line) => event === undefined || line.event === event);
}

/** One request on one connection; the text that comes back. */
export function get(path: string, request = 'GET'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${request} / HTTP/1.0\r\n\r\n`));
    let text = '';
    socket.setEncoding('utf8').on('data', (data: string) => {
      text += data;
    });
    socket.on('error', reject);
    socket.on('close', () => {
      const body = text.split('\r\n\r\n')[1];
      if (body === undefined) reject(new Error(`no answer: ${JSON.stringify(text)}`));
      else resolve(body);
    });
  });
}
