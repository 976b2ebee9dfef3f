// What clients of the control socket ask for, and what they are told.

import { parseRequest, type Request, type Requester, type RequestSource } from './control.js';
import type { Journal } from './journal.js';
import type { Decision, Event } from './policy/state.js';
import type { SupervisorStatus } from './status.js';

/** What a request is answered from. */
export interface Sources {
  status(now: number): SupervisorStatus;
  journal: Journal;
  /** Has what is published looked at; settles with why it is refused, or not in force everywhere. */
  reconfigure(settle: (error: string | undefined) => void): void;
  /** What concerns images of the program. @returns whether it is seen to */
  images?(client: Requester, request: Request, line: string): boolean;
}

export class ControlRequests {
  readonly #socket: RequestSource;
  readonly #sources: Sources;
  /** Clients that wait for the end of a recycle. */
  #recycling: Requester[] = [];

  constructor(socket: RequestSource, sources: Sources) {
    this.#socket = socket;
    this.#sources = sources;
  }

  /** Does what can be done now. @returns what the policy has to decide on */
  *serve(ready: ReadonlyMap<number, number>, now: number): Generator<Event> {
    for (const { client, line } of this.#socket.serve(ready)) {
      const request = parseRequest(line);
      if (typeof request === 'string') answer(client, { ok: false, error: request });
      else if (this.#sources.images?.(client, request, line) !== true) {
        yield* this.#handle(client, request, now);
      }
    }
  }

  *#handle(client: Requester, request: Request, now: number): Generator<Event> {
    switch (request.command) {
      case 'status':
        answer(client, { ok: true, ...this.#sources.status(now) });
        return;
      case 'log':
        for (const line of this.#sources.journal.recent) client.send(line);
        if (request.follow) client.follows = true;
        else client.end();
        return;
      case 'recycle':
        // Answered when it is known how it went.
        this.#recycling.push(client);
        yield { type: 'recycle', now };
        return;
      case 'reload':
      case 'rollback':
        // Asked of the image itself, which is not who has others.
        answer(client, { ok: false, error: `not for this one to do: ${request.command}` });
        return;
      case 'reconfigure':
        this.#sources.reconfigure((error) =>
          answer(client, error === undefined ? { ok: true } : { ok: false, error }),
        );
        return;
      case 'scale':
        yield { type: 'scale', now, workers: request.workers };
        break;
      case 'restart':
        if (request.worker === undefined) yield { type: 'restart', now };
        else yield { type: 'restart-one', now, id: request.worker, error: request.error };
        break;
      case 'give-up':
        yield { type: 'give-up', now, error: request.error };
        break;
      default:
        yield { type: request.command, now, by: 'the control socket' };
    }
    answer(client, { ok: true });
  }

  /** A line for those who follow the log. */
  log(line: string): void {
    for (const client of this.#socket.clients) if (client.follows) client.send(line);
  }

  /** Tells those who follow the log, and those who wait for what has happened. */
  tell(decision: Decision, line: string, lastError: string | undefined): void {
    this.log(line);
    const failed =
      decision.event === 'stop' ||
      (decision.event === 'replacement-failed' && decision.reason === 'recycle');
    if (!failed && decision.event !== 'recycled') return;
    const error = lastError ?? 'the replacement failed; the old workers go on';
    for (const client of this.#recycling)
      answer(client, failed ? { ok: false, error } : { ok: true });
    this.#recycling = [];
  }
}

export function answer(
  client: Requester,
  value: { ok: true } | { ok: false; error: string },
): void {
  client.send(JSON.stringify(value));
}
