// Whether systemd waits for this process to fork and exit: Type=forking. Nothing in the environment says
// so, so systemd is asked.

import { spawnSync } from '../builtin/child_process.js';
import { readProc } from '../posix/processes.js';

/** How long systemd may take to answer, in ms. */
const PATIENCE = 5000;

/** The unit of a process, and whether it is one of the user's own manager. */
export interface Unit {
  name: string;
  user: boolean;
}

/** @param cgroup the text of /proc/PID/cgroup @returns undefined: it is in no service */
export function unitOf(cgroup: string): Unit | undefined {
  const lines = cgroup.split('\n');
  // systemd's own hierarchy, where there are several.
  const paths = [/^\d+:name=systemd:(.*)$/, /^0::(.*)$/].flatMap((pattern) =>
    lines.flatMap((line) => pattern.exec(line)?.[1] ?? []),
  );
  for (const path of paths) {
    const services = path.split('/').filter((part) => part.endsWith('.service'));
    const name = services.at(-1);
    if (name === undefined) continue;
    return { name, user: services.slice(0, -1).some((it) => /^user@\d+\.service$/.test(it)) };
  }
  return undefined;
}

/**
 * The Type= of the unit that this process is the main process of.
 * @returns undefined: it cannot be found out
 */
export function unitType(): string | undefined {
  const unit = unitOf(readProc('/proc/self/cgroup') ?? '');
  if (unit !== undefined) {
    const scope = unit.user ? ['--user'] : [];
    const { stdout, status } = spawnSync(
      'systemctl',
      [...scope, 'show', '--property=Type', '--value', '--', unit.name],
      { encoding: 'utf8', timeout: PATIENCE, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    if (status === 0 && stdout.trim() !== '') return stdout.trim();
  }
  // It may not be asked by this user, or from this root; but it says where it expects a pidfile.
  return (process.env.PIDFILE ?? '') === '' ? undefined : 'forking';
}
