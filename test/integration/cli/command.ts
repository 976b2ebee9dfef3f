// The command, with folders of its own.

import { join } from 'node:path';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { type Ended, launch, type RunOptions } from '../../support/program.js';
import type { Running } from '../../support/running.js';

export const COMMAND = join(root, 'dist/cli/doublefork.cjs');

/** A place with no daemons, where the command can be given. */
export class Place {
  readonly folder = temporaryFolder();
  readonly state = join(this.folder, 'run');
  readonly logs = join(this.folder, 'log');
  readonly env = {
    RUNTIME_DIRECTORY: this.state,
    LOGS_DIRECTORY: this.logs,
    NO_COLOR: '1',
  };

  /** Gives the command and waits until it has exited; its daemons may live. */
  async run(...args: string[]): Promise<Ended> {
    const running = this.launch(args);
    await running.exited;
    return await running.ended;
  }

  /** `start --name it OPTIONS -- PROGRAM`, the options as on a command line. */
  async startIt(options: string, program: readonly string[]): Promise<Ended> {
    const words = options.split(' ').filter((word) => word !== '');
    return await this.run('start', '--name', 'it', ...words, '--', ...program);
  }

  launch(args: readonly string[], options: RunOptions = {}): Running<Ended> {
    return launch(node, [COMMAND, ...args], {
      cwd: this.folder,
      ...options,
      env: { ...this.env, ...options.env },
    });
  }

  /** What `status --json` says of a daemon. */
  // biome-ignore lint/suspicious/noExplicitAny: as it was parsed
  async status(name: string): Promise<any> {
    return JSON.parse((await this.run('status', name, '--json')).stdout)[0];
  }
}
