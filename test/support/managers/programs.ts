// The two programs of the matrix, as their owners have written them: under each manager unchanged.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../folder.js';
import { root } from '../node.js';

/** A program that calls supervise(), not daemonize(). It is not ready while there is a file `wait`. */
const SUPERVISED = `
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { drain, listen, supervise } from 'doublefork';

const greeting = 'Hello';

const http = listen('http', { port: 8080, host: '127.0.0.1' });
const worker = supervise({ workers: 2, ready: 'manual' });
const server = createServer((request, response) => {
  const answer = () => response.end(\`\${greeting} from worker \${worker.id} with pid \${process.pid}.\\n\`);
  if (request.url === '/slow') setTimeout(answer, 1500);
  else answer();
});
server.listen({ fd: http.fd }, () => {
  const timer = setInterval(() => {
    if (existsSync(new URL('wait', import.meta.url))) return;
    clearInterval(timer);
    worker.ready();
  }, 20);
});
worker.signal.addEventListener('abort', () => drain(server));
`;

export const PROGRAMS = {
  /** The example, which calls daemonize() and supervise(). */
  'http-server': readFileSync(join(root, 'examples/http-server/server.mjs'), 'utf8'),
  'supervise()': SUPERVISED,
} as const;

export type ProgramName = keyof typeof PROGRAMS;

/** A program in a directory of its own, which managers see as /srv/app. */
export class Program {
  readonly directory = temporaryFolder();
  readonly #source: string;
  readonly #wait = join(this.directory, 'wait');

  constructor(readonly name: ProgramName) {
    this.#source = PROGRAMS[name];
    // For users other than root, too.
    chmodSync(this.directory, 0o755);
    mkdirSync(join(this.directory, 'node_modules'));
    symlinkSync('/srv/.package', join(this.directory, 'node_modules/doublefork'));
    this.write('Hello');
  }

  /** Whether it has requests that take time, and can be held before it is ready. */
  get isOurs(): boolean {
    return this.name === 'supervise()';
  }

  get slow(): string | undefined {
    return this.isOurs ? '/slow' : undefined;
  }

  /** The version that greets so. */
  write(greeting: string): void {
    const source = this.#source.replace("greeting = 'Hello'", `greeting = '${greeting}'`);
    writeFileSync(join(this.directory, 'server.mjs'), source);
  }

  /** A version that cannot start. */
  break(): void {
    const source = `${this.#source}\nthrow new Error('the new version is broken');\n`;
    // Before it has become a supervisor.
    const broken = source.replace(
      /^const greeting/m,
      "if (true) throw new Error('this version is broken');\n$&",
    );
    writeFileSync(join(this.directory, 'server.mjs'), broken);
  }

  /** Has it not get ready, until it may. */
  hold(): void {
    writeFileSync(this.#wait, '');
  }

  release(): void {
    if (existsSync(this.#wait)) rmSync(this.#wait);
  }
}
