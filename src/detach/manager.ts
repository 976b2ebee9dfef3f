// The service manager, told how the service fares: sd_notify(3).

import { constants } from '../builtin/os.js';
import { close } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { AF_UNIX, SOCK_DGRAM, sendmsg, socket } from '../posix/socket.js';

/** The service manager that has started this process and listens to it. */
export class ServiceManager {
  readonly #address: string;
  /** Whether it was said already that the manager cannot be reached. */
  #unreachable = false;
  readonly #told = new Set<string>();

  private constructor(address: string) {
    this.#address = address;
  }

  /** undefined: there is none that listens. */
  static from(env: Readonly<Record<string, string | undefined>>): ServiceManager | undefined {
    const address = env.NOTIFY_SOCKET ?? '';
    return address === '' ? undefined : new ServiceManager(address);
  }

  /**
   * The service serves. Told once.
   * @returns why the manager cannot be told, once: a variable that was left over must not end a
   * service that runs
   */
  ready(status = `Ready (pid ${process.pid})`): Error | undefined {
    return this.#tell('READY=1', `STATUS=${status.replaceAll('\n', ' ')}`);
  }

  /** The service is about to end. Told once. @returns as {@link ready} does */
  stopping(): Error | undefined {
    return this.#tell('STOPPING=1');
  }

  #tell(fact: string, ...more: readonly string[]): Error | undefined {
    if (this.#told.has(fact)) return undefined;
    try {
      send(this.#address, [fact, ...more].join('\n'));
      this.#told.add(fact);
      return undefined;
    } catch (error) {
      if (this.#unreachable) return undefined;
      this.#unreachable = true;
      return unreachable(this.#address, error as Error);
    }
  }
}

function send(address: string, text: string): void {
  if (!/^[@/]/.test(address)) {
    const detail = 'it must begin with "/" or "@"';
    throw posixError(-constants.errno.EAFNOSUPPORT, 'sendmsg', address, detail);
  }
  const fd = socket(AF_UNIX, SOCK_DGRAM);
  try {
    // "@": a name that is in no file system.
    sendmsg(fd, { data: Buffer.from(text), to: { path: address.replace(/^@/, '\0') } });
  } finally {
    close(fd);
  }
}

function unreachable(address: string, cause: Error): Error {
  return Object.assign(
    new Error(
      `The service manager at NOTIFY_SOCKET=${address} cannot be told how the service fares: ` +
        `${cause.message}. The service runs all the same. If there is no service manager, unset NOTIFY_SOCKET`,
      { cause },
    ),
    { name: 'Warning', code: 'DOUBLEFORK_NOTIFY_SOCKET' },
  );
}
