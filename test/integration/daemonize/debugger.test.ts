// A program that is run in gdb(1): gdb writes its breakpoints into the memory, of which one, where the
// loader tells of libraries, is always there. A daemon in that memory would die of it.

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { engine } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { execute, inline } from '../../support/program.js';
import { unprivileged } from '../../support/root.js';

const isThere = spawnSync('gdb', ['--version']).error === undefined;
if (!isThere) console.log('Not tested, for want of gdb(1): daemonize() in a debugger');

test.skipIf(engine === 'exec' || !isThere)(
  'a daemon loads libraries while its launcher waits in gdb',
  async () => {
    const directory = temporaryFolder();
    const addon = join(directory, 'other.node');
    copyFileSync(join(root, 'build/Release/doublefork.node'), addon);
    chmodSync(directory, 0o777);
    const stopped = join(directory, 'stopped');
    const program = inline(
      `
      const [addon, stopped] = process.argv.slice(1);
      const daemon = daemonize({ keepFds: [3], ready: 'manual' });
      const launcher = process.ppid;
      const state = () =>
        fs.readFileSync('/proc/' + launcher + '/stat', 'latin1').split(') ').at(-1)[0];
      const until = async (condition) => {
        while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      // gdb has taken its breakpoints out when it let go of the intermediate. It puts them back
      // whenever the launcher goes on.
      await until(() => state() === 'S');
      process.kill(launcher, 'SIGURG');
      await until(() => state() === 't');
      fs.writeFileSync(stopped, '');
      await until(() => state() !== 't');
      process.dlopen({ exports: {} }, addon);
      report('a library is loaded');
      daemon.ready();
    `,
      { args: [addon, stopped] },
    );
    const commands = [
      'handle SIGURG stop nopass',
      'run',
      `shell while ! [ -e ${stopped} ]; do sleep 0.01; done`,
      'continue',
    ];
    // A launcher with privileges would copy the memory in any case.
    const [first, ...words] = [
      ...unprivileged,
      ...['gdb', '-nx', '-q', '-batch'],
      ...commands.flatMap((command) => ['-ex', command]),
      ...['--args', node, ...program],
    ];
    const { reports, stdout } = await execute(first!, words);
    expect(stdout).toContain('received signal SIGURG');
    expect(stdout).toContain('exited normally');
    expect(reports).toEqual(['a library is loaded']);
  },
);
