// An image's side: its supervisor reports to the one that keeps the service's pid, the keeper, which
// also asks it what people ask.

import { thisProcess } from '../detach/this-process.js';
import { closeListenersNotTaken } from '../image/handoff.js';
import type { PollRequest } from '../posix/descriptor.js';
import type { Requester, RequestSource } from './control.js';
import { ImageChannel, type Order, type Word } from './image-channel.js';
import type { Event } from './policy/state.js';
import type { Superior } from './superior.js';
import type { Worker } from './worker.js';

/** Whoever has asked the keeper. */
class RemoteRequester implements Requester {
  readonly follows = false;
  readonly #keeper: KeeperSuperior;
  readonly #id: number;

  constructor(keeper: KeeperSuperior, id: number) {
    this.#keeper = keeper;
    this.#id = id;
  }

  send(line: string): void {
    this.#keeper.say({ word: 'answer', id: this.#id, line });
  }

  end(): void {}
}

export class KeeperSuperior implements Superior, RequestSource {
  readonly awaited: boolean;
  readonly isWorker = false;
  readonly isTrial: boolean;
  readonly pingEvery = 0;
  readonly clients = [];
  readonly #channel: ImageChannel<Order, Word>;
  readonly #unused: readonly string[];
  #orders: Event['type'][] = [];

  /**
   * @param awaited whether somebody waited for the first image to be ready: what `ready` defaults to
   * @param isTrial whether one failure is enough before it serves: there is a predecessor
   */
  constructor(orders: number, words: number, awaited: boolean, isTrial = true) {
    this.#channel = new ImageChannel(orders, words);
    this.awaited = awaited;
    this.isTrial = isTrial;
    // Before there are workers, which would have them as well.
    this.#unused = closeListenersNotTaken();
  }

  say(word: Word): void {
    this.#channel.send(word);
  }

  ping(): undefined {}

  ready(): undefined {
    this.say({ word: 'ready', unused: this.#unused });
  }

  parked(): void {
    this.say({ word: 'parked' });
  }

  reload(): void {
    this.say({ word: 'reload' });
  }

  log(line: string): void {
    this.say({ word: 'log', line });
  }

  ended(_code: number, reason: string | undefined): void {
    if (reason !== undefined) this.say({ word: 'failed', text: reason });
  }

  reopenLogs(): void {
    thisProcess.daemon?.reopenLogs();
  }

  handOver(worker: Worker): void {
    this.release();
    thisProcess.daemon?.readiness?.delegate(worker);
  }

  // As a source of requests.

  requests(): PollRequest[] {
    return this.#channel.pollRequests();
  }

  *serve(ready: ReadonlyMap<number, number>): Generator<{ client: Requester; line: string }> {
    for (const order of this.#channel.serve(ready)) {
      if (order.order === 'request') {
        yield { client: new RemoteRequester(this, order.id), line: order.line };
      } else if (order.order === 'park' || order.order === 'resume') {
        this.#orders.push(order.order);
      }
    }
  }

  /** What it was told, for the policy. */
  takeOrders(now: number): Event[] {
    const orders = this.#orders;
    this.#orders = [];
    return orders.map((type) => ({ type, now }) as Event);
  }

  release(): void {
    this.#channel[Symbol.dispose]();
  }
}
