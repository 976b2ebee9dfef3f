// The service manager, told how the service fares: sd_notify(3).

import { close } from '../posix/descriptor.js';
import { AF_UNIX, SOCK_DGRAM, sendmsg, socket } from '../posix/socket.js';

/** The service manager that has started this process and listens to it. */
export class ServiceManager {
  readonly #path: string;
  readonly #told = new Set<string>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** undefined: there is none that listens. */
  static from(env: Readonly<Record<string, string | undefined>>): ServiceManager | undefined {
    const address = env.NOTIFY_SOCKET ?? '';
    // "@": a name that is in no file system.
    return address === '' ? undefined : new ServiceManager(address.replace(/^@/, '\0'));
  }

  /**
   * The service serves. Told once.
   * @throws the error of sendmsg(2): a manager that never hears of it would end the service
   */
  ready(status = `Ready (pid ${process.pid})`): void {
    this.#tell('READY=1', `STATUS=${status.replaceAll('\n', ' ')}`);
  }

  /** The service is about to end. Told once. */
  stopping(): void {
    try {
      this.#tell('STOPPING=1');
    } catch (error) {
      // It ends all the same, and the manager will see that.
      process.emitWarning(error as Error);
    }
  }

  #tell(fact: string, ...more: readonly string[]): void {
    if (this.#told.has(fact)) return;
    const fd = socket(AF_UNIX, SOCK_DGRAM);
    try {
      sendmsg(fd, { data: Buffer.from([fact, ...more].join('\n')), to: { path: this.#path } });
    } finally {
      close(fd);
    }
    this.#told.add(fact);
  }
}
