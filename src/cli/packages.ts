// Packages of which it is known what does not go with a fork, as far as they are installed here.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Known {
  name: string;
  /** Major versions that are concerned; undefined: all. */
  majors?: readonly [first: number, last: number];
  /** What happens, and the way out. */
  remedy: string;
}

const STOCK =
  'keeps a stock of random ids, which every fork and worker gives out again: see onFork() in docs/fork.md';

const KNOWN: readonly Known[] = [
  {
    name: 'esbuild',
    remedy:
      'runs a child process, to which fork() would have two processes talk, each of which gets a part of the answers: use it in one of them only; daemonize() and supervise() refuse while it runs: use it after them',
  },
  { name: 'nanoid', majors: [3, 5], remedy: STOCK },
  {
    name: 'onnxruntime-node',
    remedy:
      "keeps a database of its own locked (onnxruntime.db in the user's cache directory): fork() and supervise() refuse unless they get recordLocks: 'lose', with which it works",
  },
  { name: 'uuid', majors: [8, 12], remedy: STOCK },
  {
    name: 'zeromq',
    remedy:
      "keeps the process id of its sockets, and hangs in a daemon or worker that has them from before: open them after daemonize() or supervise(), or use engine: 'exec'",
  },
];

export interface Installed {
  name: string;
  version: string;
  remedy: string;
}

/** Those that a program in this directory would load. Copies that other packages keep for themselves are not seen. */
export function knownPackages(directory: string): Installed[] {
  return KNOWN.flatMap(({ name, majors, remedy }) => {
    const version = installedVersion(name, directory);
    if (version === undefined) return [];
    const major = Number.parseInt(version, 10);
    const concerned = majors === undefined || (major >= majors[0] && major <= majors[1]);
    return concerned ? [{ name, version, remedy }] : [];
  });
}

/** As Node looks for it: here, and in each directory above. */
function installedVersion(name: string, directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    try {
      const text = readFileSync(join(at, 'node_modules', name, 'package.json'), 'utf8');
      return String((JSON.parse(text) as { version: unknown }).version);
    } catch {
      // Not there, or none that can be read: the next.
    }
    if (at === dirname(at)) return undefined;
  }
}
