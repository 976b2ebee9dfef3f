// A program in a file of its own, as a service manager starts it, which says what it finds.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../folder.js';
import { node, root } from '../node.js';
import { until } from '../processes.js';

export class Service {
  /** Its command line. */
  readonly line: string;
  readonly directory = temporaryFolder();
  readonly file = join(this.directory, 'service.mjs');
  readonly #said = join(this.directory, 'said');

  /** @param source with everything of doublefork and doublefork/systemd at hand, and `say(value)` */
  constructor(source: string) {
    writeFileSync(this.#said, '');
    this.line = `${node} ${this.file}`;
    this.write(source);
  }

  /** Another version. */
  write(source: string): void {
    writeFileSync(
      this.file,
      `
        import * as fs from 'node:fs';
        import { createServer } from 'node:http';
        import { daemonize, drain, handover, listen, supervise } from '${root}/dist/index.js';
        import * as systemd from '${root}/dist/systemd/index.js';
        const say = (value) => fs.appendFileSync('${this.#said}', JSON.stringify(value ?? null) + '\\n');
        ${source}
      `,
    );
  }

  /** All that it has said. */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its own program says
  get said(): any[] {
    if (!existsSync(this.#said)) return [];
    const lines = readFileSync(this.#said, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  /** Waits until it has said so many things. @returns the last of them */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its own program says
  async says(count = 1): Promise<any> {
    await until(() => this.said.length >= count, `${count} things said by the service`);
    return this.said[count - 1];
  }
}
