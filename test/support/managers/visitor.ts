// A client within the network namespace of a service: it stays when all else there has ended.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { endWithTest } from './ending.js';

const PROGRAM = new URL('visitor-process.mjs', import.meta.url).pathname;

/** How long the service may take for what it was told. In ms. */
const PATIENCE = 30_000;

export class Visitor {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #last = 0;

  /** @param pid whose network namespace it is */
  constructor(pid: number) {
    this.#process = spawn('nsenter', ['-t', String(pid), '-n', '--', process.execPath, PROGRAM], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => this.#process.on('exit', resolve));
    endWithTest(async () => {
      this.#process.kill('SIGKILL');
      await ended;
    });
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      const [id, result] = JSON.parse(line);
      this.#waiting.get(id)!(result);
      this.#waiting.delete(id);
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: each command answers as it does
  async #ask(...command: unknown[]): Promise<any> {
    const id = ++this.#last;
    const answer = new Promise<unknown>((resolve) => this.#waiting.set(id, resolve));
    this.#process.stdin!.write(`${JSON.stringify([id, ...command])}\n`);
    const result = await answer;
    const error = (result as { error?: string } | null)?.error;
    if (error !== undefined) throw new Error(error);
    return result;
  }

  /** The page, or the code of the error. */
  get(path = '/'): Promise<string> {
    return this.#ask('get', path);
  }

  /** Waits for a page that has this in it. @returns the page */
  async sees(part: string): Promise<string> {
    const { body, instead } = await this.#ask('until', part, '/', PATIENCE);
    if (body !== undefined) return body;
    throw new Error(`no page with ${JSON.stringify(part)} within ${PATIENCE} ms, but ${instead}`);
  }

  /** Waits until nobody listens. */
  async seesNobody(): Promise<void> {
    const { instead } = await this.#ask('silence', PATIENCE);
    if (instead !== undefined) throw new Error(`still served after ${PATIENCE} ms: ${instead}`);
  }

  /** Waits until new requests are taken no more. */
  seesNoAnswer(): Promise<void> {
    return this.#ask('refusal');
  }

  /** Fetches pages until unload(): two at a time on a connection each, two on connections that stay. */
  load(): Promise<void> {
    return this.#ask('load');
  }

  /** How those ended: by the first word of the page, or the code of the error. */
  unload(): Promise<Record<string, number>> {
    return this.#ask('unload');
  }

  /** Has so many requests half sent, and so many of a path that takes time to answer. */
  hold(count: number, slow?: string): Promise<void> {
    return this.#ask('hold', count, slow);
  }

  /** Sends the rest of what is held. @returns `'answered'`, or how it ended instead, of each */
  release(): Promise<string[]> {
    return this.#ask('release');
  }
}
