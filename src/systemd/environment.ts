// What a service manager has put into the environment of this process. It is for this process alone, so it
// is taken out when it is first used: what the program starts would take it for its own.

import { fstatSync } from '../builtin/fs.js';
import { isStillOpen, type PassedDescriptor, passedOn } from '../image/handoff.js';
import { inheritedDescriptors } from '../image/inherited.js';
import { setCloseOnExec } from '../posix/descriptor.js';
import { shared } from '../posix/shared.js';
import { trace } from '../posix/trace.js';

/** SD_LISTEN_FDS_START */
const FIRST = 3;

type Environment = Readonly<Record<string, string | undefined>>;

/** What was taken; undefined: it was not looked for yet. */
const taken = shared('service-manager', () => ({
  notify: undefined as { address: string | undefined } | undefined,
  watchdog: undefined as { timeout: number | undefined } | undefined,
  /** The variables that were taken out of the environment. */
  variables: {} as Record<string, string>,
  descriptors: new Set<number>(),
}));

/** Where systemd listens, that of the system and those of users. */
const SYSTEMD_SOCKET = /\/systemd\/notify$/;

/**
 * Whether NOTIFY_SOCKET is there for this process. It is inherited by all that a service starts; where
 * systemd says whom it has started, only that one and its children are meant: a script may be in between.
 * A socket that is not systemd's comes from somebody else in between, who waits for this process.
 */
export function isNotifySocketOurs(env: Environment, pid: number, ppid: number): boolean {
  const address = env.NOTIFY_SOCKET ?? '';
  if (address === '') return false;
  const meant = env.SYSTEMD_EXEC_PID ?? '';
  if (meant === '' || !SYSTEMD_SOCKET.test(address)) return true;
  return meant === String(pid) || meant === String(ppid);
}

function remove(...names: readonly string[]): void {
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) taken.variables[name] = value;
    delete process.env[name];
  }
}

/** What was taken out of the environment, for the program that this process becomes: it is the service then. */
export function takenVariables(): Readonly<Record<string, string>> {
  return taken.variables;
}

/** Where to notify the service manager; undefined: there is none. */
export function notifySocket(): string | undefined {
  if (taken.notify === undefined) {
    const ours = isNotifySocketOurs(process.env, process.pid, process.ppid);
    taken.notify = { address: ours ? process.env.NOTIFY_SOCKET : undefined };
    if (ours) remove('NOTIFY_SOCKET');
  }
  return taken.notify.address;
}

/** How often the service manager wants to hear that this process does not hang, in ms; undefined: not at all. */
export function watchdogTimeout(): number | undefined {
  if (taken.watchdog === undefined) {
    const { WATCHDOG_USEC, WATCHDOG_PID = '' } = process.env;
    const timeout = Number(WATCHDOG_USEC) / 1000;
    const ours = WATCHDOG_PID === '' || WATCHDOG_PID === String(process.pid);
    taken.watchdog = { timeout: ours && timeout > 0 ? timeout : undefined };
    if (ours) remove('WATCHDOG_USEC', 'WATCHDOG_PID');
  }
  return taken.watchdog.timeout;
}

/**
 * The descriptors that a service manager has passed to this process, by socket activation or from its
 * store. What LISTEN_FDS counts and this process was not started with does not count.
 */
export function passedDescriptors(): readonly PassedDescriptor[] {
  passedOn.all ??= takeDescriptors();
  passedOn.all = passedOn.all.filter(isStillOpen);
  return passedOn.all;
}

/** Those that nobody has taken. */
export function freeDescriptors(): readonly PassedDescriptor[] {
  return passedDescriptors().filter(({ fd }) => !taken.descriptors.has(fd));
}

/** Has one belong to listen(). */
export function takePassed(fd: number): void {
  taken.descriptors.add(fd);
}

function takeDescriptors(): PassedDescriptor[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = process.env;
  if (LISTEN_PID !== String(process.pid)) return [];
  remove('LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID');
  const count = Number(LISTEN_FDS);
  if (!Number.isInteger(count) || count < 1) return [];
  const names = LISTEN_FDNAMES.split(':');
  // Without a gap: what comes after one is from somebody else.
  const inherited = inheritedDescriptors();
  let end = FIRST;
  while (end < FIRST + count && inherited.has(end)) end++;
  const passed = Array.from({ length: end - FIRST }, (_, index) => FIRST + index).map((fd) => ({
    fd,
    name: names[fd - FIRST] || 'unknown',
    inode: fstatSync(fd).ino,
  }));
  for (const { fd } of passed) setCloseOnExec(fd, true);
  trace?.('systemd', `has passed ${JSON.stringify(passed)}`);
  if (passed.length < count) warnOf(count, passed.length);
  return passed;
}

function warnOf(count: number, found: number): void {
  process.emitWarning(
    `LISTEN_FDS=${count} says that ${count} descriptors were passed to this process, which has ${found} of them. ` +
      'The others are not touched',
    { type: 'DoubleforkWarning', code: 'DOUBLEFORK_LISTEN_FDS' },
  );
}
