// What clients of the control socket ask for, and what they are told.

import { type Client, type ControlSocket, parseRequest, type Request } from './control.js';
import type { Journal } from './journal.js';
import type { Decision, Event } from './policy/state.js';
import type { SupervisorStatus } from './status.js';

/** What a request is answered from. */
export interface Sources {
  status(now: number): SupervisorStatus;
  journal: Journal;
}

export class ControlRequests {
  readonly #socket: ControlSocket;
  readonly #sources: Sources;
  /** Clients that wait for the end of a reload. */
  #reloading: Client[] = [];

  constructor(socket: ControlSocket, sources: Sources) {
    this.#socket = socket;
    this.#sources = sources;
  }

  /** Does what can be done now. @returns what the policy has to decide on */
  *serve(ready: ReadonlyMap<number, number>, now: number): Generator<Event> {
    for (const { client, line } of this.#socket.serve(ready)) {
      const request = parseRequest(line);
      if (typeof request === 'string') answer(client, { ok: false, error: request });
      else yield* this.#handle(client, request, now);
    }
  }

  *#handle(client: Client, request: Request, now: number): Generator<Event> {
    switch (request.command) {
      case 'status':
        answer(client, { ok: true, ...this.#sources.status(now) });
        return;
      case 'log':
        for (const line of this.#sources.journal.recent) client.send(line);
        if (request.follow) client.follows = true;
        else client.end();
        return;
      case 'reload':
        // Answered when it is known how it went.
        this.#reloading.push(client);
        yield { type: 'reload', now };
        return;
      case 'scale':
        yield { type: 'scale', now, workers: request.workers };
        break;
      case 'restart':
        yield { type: 'restart', now };
        break;
      default:
        yield { type: request.command, now, by: 'the control socket' };
    }
    answer(client, { ok: true });
  }

  /** Tells those who follow the log, and those who wait for what has happened. */
  tell(decision: Decision, line: string, lastError: string | undefined): void {
    for (const client of this.#socket.clients) if (client.follows) client.send(line);
    const failed =
      decision.event === 'stop' ||
      (decision.event === 'replacement-failed' && decision.reason === 'reload');
    if (!failed && decision.event !== 'reloaded') return;
    const error = lastError ?? 'the replacement failed; the old workers go on';
    for (const client of this.#reloading)
      answer(client, failed ? { ok: false, error } : { ok: true });
    this.#reloading = [];
  }
}

function answer(client: Client, value: { ok: true } | { ok: false; error: string }): void {
  client.send(JSON.stringify(value));
}
