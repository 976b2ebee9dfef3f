// A machine of its own for a service, as its administrator sees it: /srv/app, node and doublefork in
// /usr/local/bin, /etc and /var to write to. In namespaces, so that nothing of it stays.

import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '../folder.js';
import { node, root } from '../node.js';
import { killQuietly, until } from '../processes.js';
import { launch } from '../program.js';
import { endWithTest } from './ending.js';
import type { RecipeFile } from './recipes.js';

/**
 * To be run in a mount namespace, with the variables of {@link worldVariables}. $ROOT: that of another
 * release, or empty.
 */
export const PREPARE = `
mount -t tmpfs -o mode=755 tmpfs $ROOT/srv
mkdir $ROOT/srv/app $ROOT/srv/.package
mount --rbind $PACKAGE $ROOT/srv/.package
touch $ROOT/srv/.node; mount --bind $NODE $ROOT/srv/.node
mount --bind $APP $ROOT/srv/app
for place in etc var; do
  mkdir -p $ROOT/srv/.$place/upper $ROOT/srv/.$place/work
  mount -t overlay overlay -o lowerdir=$ROOT/$place,upperdir=$ROOT/srv/.$place/upper,workdir=$ROOT/srv/.$place/work $ROOT/$place
done
mount -t tmpfs -o mode=755 tmpfs $ROOT/usr/local/bin
touch $ROOT/usr/local/bin/node; mount --bind $NODE $ROOT/usr/local/bin/node
ln -s /srv/.package/dist/cli/doublefork.cjs $ROOT/usr/local/bin/doublefork
`;

/** The files of a recipe, copied after all is mounted. */
export const COPY = '[ -z "$FILES" ] || cp -a $FILES/. $ROOT/';

/** The search path of an administrator, and of a service. */
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface WorldVariables {
  APP: string;
  NODE: string;
  PACKAGE: string;
  FILES: string;
}

/** @param directory of the program @param files with absolute paths */
export function worldVariables(directory: string, files: readonly RecipeFile[]): WorldVariables {
  const tree = mkdtempSync(join(temporaryFolder(), 'files-'));
  chmodSync(tree, 0o755);
  for (const { path, text, executable } of files) {
    const file = join(tree, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    chmodSync(file, executable ? 0o755 : 0o644);
  }
  return { APP: directory, NODE: node, PACKAGE: root, FILES: tree };
}

export interface World {
  /** Process 1 of its pid namespace, as this one sees it. */
  readonly init: number;
  /** Runs a command line of shell there. */
  sh(line: string): Promise<Done>;
  /** Runs a command line of the recipe, if that is elsewhere. */
  admin?(line: string): Promise<{ code: number | null; stdout?: string; stderr?: string }>;
  /** What was printed. */
  readonly console: string;
  /** Whether it has ended, as a container does with its process 1. */
  readonly ended: Promise<unknown>;
}

/** Without a service manager of its own: process 1 is what `init` executes. */
export async function bootWorld(
  variables: WorldVariables,
  init: string,
  env: Record<string, string> = {},
): Promise<World> {
  const running = launch(
    'unshare',
    [
      ...['--pid', '--mount', '--net', '--ipc', '--uts', '--fork', '--mount-proc'],
      ...['--kill-child=SIGKILL', '--propagation', 'private', 'bash', '-ec'],
      `ip link set lo up; ${PREPARE}
      mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/lock
      ${COPY}
      mount -t tmpfs -o mode=1777 tmpfs /tmp
      cd /; ${init}`,
    ],
    { env: { ...variables, ROOT: '', PATH, ...env }, cwd: '/' },
  );
  endWithTest(async () => {
    killQuietly(running.pid);
    await running.exited;
  });
  let console = '';
  void running.ended.then(({ stdout, stderr }) => {
    console = stdout + stderr;
  });
  let pid = 0;
  await until(() => {
    try {
      const children = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8');
      pid = Number(children.trim());
      // It has executed what it was to.
      return pid > 0 && !/^(unshare|bash)$/m.test(readFileSync(`/proc/${pid}/comm`, 'utf8'));
    } catch (error) {
      throw new Error(`no world that begins with ${init}: ${console}`, { cause: error });
    }
  }, `a world that begins with ${init}`);
  return {
    init: pid,
    sh: (line) => enter(pid, line, env),
    get console() {
      return console;
    },
    ended: running.exited,
  };
}

/** How a command line has ended. */
export interface Done {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** How long a command may take. In ms. */
const PATIENCE = 120_000;

/** Runs a command line of shell in the namespaces of a process, and in its root directory. */
export function enter(pid: number, line: string, env: Record<string, string> = {}): Promise<Done> {
  const variables = Object.entries({ PATH, ...env }).map(([name, value]) => `${name}=${value}`);
  return perform('nsenter', [
    ...['-t', String(pid), '-m', '-p', '-n', '-i', '-u', '-C', '-r', '-w', '--'],
    ...['env', '-i', ...variables, 'bash', '-c', line],
  ]);
}

/** Waits for the command alone: what it leaves in the background may hold its descriptors. */
export async function perform(command: string, args: readonly string[]): Promise<Done> {
  const directory = temporaryFolder();
  const paths = ['stdout', 'stderr'].map((name) => join(directory, name));
  const fds = paths.map((path) => openSync(path, 'a'));
  const child = spawn(command, args, { stdio: ['ignore', ...fds], timeout: PATIENCE });
  for (const fd of fds) closeSync(fd);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('exit', resolve);
  });
  const [stdout, stderr] = paths.map((path) => readFileSync(path, 'utf8'));
  return { code, stdout: stdout!, stderr: stderr! };
}
