// A place of its own for a service manager: pid, mount, network and ipc namespaces, in which it is started
// and commands are given, until the test ends.

import { readFileSync } from 'node:fs';
import { temporaryFolder } from '../folder.js';
import { killQuietly, until } from '../processes.js';
import { type Ended, execute, launch } from '../program.js';
import { endWithTest } from './ending.js';

export class Lab {
  /** Outside and inside the same. */
  readonly directory: string;
  readonly #init: number;

  private constructor(directory: string, init: number) {
    this.directory = directory;
    this.#init = init;
  }

  /**
   * @param line a line of shell, in `directory`, after which process 1 waits
   * @param hidden directories of the machine in whose place there is an empty one
   * @param name what process 1 is called
   */
  static async start(line: string, hidden: readonly string[] = [], name = 'bash'): Promise<Lab> {
    const directory = temporaryFolder();
    const mounts = ['/run', ...hidden].map((path) => `mount -t tmpfs -o mode=755 tmpfs ${path}`);
    const running = launch(
      'unshare',
      [
        ...['--pid', '--mount', '--net', '--ipc', '--fork', '--mount-proc', '--kill-child=SIGKILL'],
        ...['--propagation', 'private', 'bash', '-c'],
        // Bash as process 1 reaps what it is left.
        `printf ${name} >/proc/$$/comm; ip link set lo up; ${mounts.join('; ')}; mkdir -p /run/lock; { ${line}\n} & touch ${directory}/.up; while :; do wait -n || sleep 0.1; done`,
      ],
      { cwd: directory },
    );
    endWithTest(async () => {
      killQuietly(running.pid);
      await running.exited;
    });
    let init = 0;
    await until(() => {
      const path = `/proc/${running.pid}/task/${running.pid}/children`;
      init = Number(readFileSync(path, 'utf8').trim());
      return init > 0 && readFileSync(`/proc/${init}/comm`, 'utf8').trim() === name;
    }, 'the lab runs');
    const lab = new Lab(directory, init);
    await until(
      async () => (await lab.exec('test', '-e', `${directory}/.up`)).code === 0,
      'the lab is up',
    );
    return lab;
  }

  /** Gives a command there. */
  exec(command: string, ...args: string[]): Promise<Ended> {
    const flags = ['-t', String(this.#init), '-p', '-m', '-n', '-i', '--'];
    return execute('nsenter', [...flags, 'env', '-C', this.directory, command, ...args]);
  }

  /** The same, as a line of shell. @returns what it prints @throws if it fails */
  async sh(line: string): Promise<string> {
    const { code, stdout, stderr } = await this.exec('sh', '-c', line);
    if (code !== 0) throw new Error(`${line}: ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }
}
