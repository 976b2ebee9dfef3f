// A supervisor as the status page has it: over its control socket.

import { ControlClient } from '../supervise/control-client.js';
import type { PageAction, PageService } from './page.js';
import type { Sight } from './view.js';

/** How long a supervisor may take to answer, in ms. */
const PATIENCE = 2000;

/** A supervisor, asked over one connection that is made again when it is lost. */
export class Supervised {
  readonly #path: string;
  readonly #reports: boolean | undefined;
  #client: Promise<ControlClient> | undefined;

  /** @param reports whether its workers say how they are; undefined: if one does */
  constructor(path: string, reports?: boolean) {
    this.#path = path;
    this.#reports = reports;
  }

  /** @throws as {@link ControlClient.connect} */
  readonly connect = (): Promise<ControlClient> => {
    this.#client ??= ControlClient.connect(this.#path, PATIENCE).then(
      (client) => {
        void client.closed.then(() => this.#forget());
        return client;
      },
      (error) => {
        this.#forget();
        throw error;
      },
    );
    return this.#client;
  };

  #forget(): void {
    this.#client = undefined;
  }

  readonly look = async (): Promise<Sight> => {
    try {
      const status = await (await this.connect()).status();
      const reports = this.#reports ?? status.workers.some(({ health }) => health !== null);
      return { kind: 'service', reports, status };
    } catch (error) {
      (await this.#client?.catch(() => undefined))?.close();
      this.#forget();
      return { kind: 'lost', error: (error as Error).message };
    }
  };

  /** As the page wants it. */
  service(key: string, name: string): PageService {
    const path = this.#path;
    return {
      key,
      name,
      look: this.look,
      async *log(signal) {
        await using client = await ControlClient.connect(path);
        const close = () => client.close();
        signal.addEventListener('abort', close);
        try {
          yield* client.log(true);
        } finally {
          signal.removeEventListener('abort', close);
        }
      },
      async act(action) {
        // Its own: what takes long must not keep others from looking.
        await using client = await ControlClient.connect(path, PATIENCE);
        await perform(client, action);
      },
    };
  }
}

function perform(client: ControlClient, action: PageAction): Promise<void> {
  switch (action.action) {
    case 'scale':
      return client.scale(action.workers);
    case 'restart':
      return client.restart('worker' in action ? action.worker : undefined);
    default:
      return client[action.action]();
  }
}
