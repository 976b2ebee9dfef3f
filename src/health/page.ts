// The status page: its files, what it is told by server-sent events, and what it may ask for.

import { timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type Refusal, refusalOf } from './origin.js';
import { type Row, type Snapshot, snapshotOf, type Times } from './rows.js';
import type { Sight } from './view.js';

/** What can be asked for. */
export type PageAction =
  | { action: 'reload' | 'recycle' | 'restart' }
  | { action: 'restart'; worker: number }
  | { action: 'scale'; workers: number };

/** What the page shows: a supervisor and its workers, or one process. */
export interface PageService {
  /** What it is called. Two may have one name, but not one key. */
  key: string;
  name: string;
  look(): Promise<Sight>;
  /** Its log, with what is to come; until `signal` is aborted. */
  log?(signal: AbortSignal): AsyncIterable<string>;
  /** @throws why it is not done */
  act?(action: PageAction): Promise<void>;
}

export interface PageOptions {
  title: string;
  /** Those that are there now. Asked again and again. */
  services(): Promise<readonly PageService[]>;
  /** What allows actions; undefined: nobody may. */
  token: string | undefined;
  /** Names under which it may be asked for, beside addresses and localhost. */
  hosts: readonly string[];
  /** Where its files are. */
  directory: string;
}

/** How often it is looked, in ms, while somebody watches; a line in a log is a reason, too. */
const INTERVAL = 1000;
/** How long it is looked after the last one has gone, so that the curves have no hole. */
const LINGER = 600_000;
/** What is kept for those who come later. */
const POINTS = 900;
const LINES = 200;
const MOST_WATCHERS = 32;
/** What may wait for a slow reader, in bytes. */
const MOST_WAITING = 4 << 20;
const LONGEST_REQUEST = 1024;

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/uplot.js': ['uPlot.iife.min.js', 'text/javascript; charset=utf-8'],
  '/uplot.css': ['uPlot.min.css', 'text/css; charset=utf-8'],
};

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What those who watch are told of one service. */
interface Update extends Partial<Omit<Snapshot, 'rows' | 'point'>> {
  key: string;
  name?: string;
  canAct?: boolean;
  /** Forget what was told before. */
  isWhole?: boolean;
  isGone?: boolean;
  rows?: Row[];
  gone?: number[];
  points?: Snapshot['point'][];
  lines?: string[];
}

/** A service as the page has it. */
class Watched {
  readonly service: PageService;
  readonly #times: Times = new Map();
  readonly #stop = new AbortController();
  readonly #rows = new Map<number, [row: Row, text: string]>();
  readonly #points: Snapshot['point'][] = [];
  readonly #lines: string[] = [];
  #last: Omit<Snapshot, 'rows' | 'point'> | undefined;

  constructor(service: PageService, onLine: (line: string) => void) {
    this.service = service;
    void this.#follow(onLine);
  }

  async #follow(onLine: (line: string) => void): Promise<void> {
    const { service } = this;
    while (service.log !== undefined && !this.#stop.signal.aborted) {
      try {
        for await (const line of service.log(this.#stop.signal)) {
          // Asked again, it tells again what is known.
          if (this.#lines.includes(line)) continue;
          this.#lines.push(line);
          if (this.#lines.length > LINES) this.#lines.shift();
          onLine(line);
        }
      } catch {
        // The look tells that nobody answers.
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL).unref());
    }
  }

  /** What is new. */
  async look(): Promise<Update> {
    const { key } = this.service;
    const now = Date.now();
    const { rows, point, ...rest } = snapshotOf(await this.service.look(), this.#times, now);
    const ids = new Set(rows.map(({ id }) => id));
    const gone = [...this.#rows.keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.#rows.delete(id);
    const changed = rows.filter((row) => {
      // Too short a time to tell: what was told counts.
      const before = this.#rows.get(row.id)?.[0];
      if (row.cpu === null && before?.pid === row.pid) row.cpu = before.cpu;
      const text = JSON.stringify(row);
      if (this.#rows.get(row.id)?.[1] === text) return false;
      this.#rows.set(row.id, [row, text]);
      return true;
    });
    this.#last = rest;
    const isNext = now - (this.#points.at(-1)?.[0] ?? 0) >= INTERVAL / 2;
    if (isNext) this.#points.push(point);
    if (this.#points.length > POINTS) this.#points.shift();
    return { key, ...rest, rows: changed, gone, points: isNext ? [point] : [] };
  }

  /** All that is known, for one who comes. */
  whole(canAct: boolean): Update {
    const { key, name, act } = this.service;
    return {
      key,
      name,
      canAct: canAct && act !== undefined,
      isWhole: true,
      ...this.#last,
      rows: [...this.#rows.values()].map(([row]) => row),
      points: this.#points,
      lines: this.#lines,
    };
  }

  close(): void {
    this.#stop.abort();
  }
}

export class StatusPage implements Disposable {
  readonly #options: PageOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #watchers = new Set<ServerResponse>();
  readonly #files = new Map<string, Buffer>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** Somebody wants a look that has not begun yet. */
  #isDue = false;
  #watchedUntil = 0;

  constructor(options: PageOptions) {
    this.#options = options;
  }

  /** @returns whether this request was the page's */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const path = request.url!.split('?', 1)[0]!;
    const isFile = Object.hasOwn(FILES, path);
    if (!isFile && path !== '/events' && path !== '/actions') return false;
    const refusal = refusalOf(request, this.#options.hosts);
    if (refusal !== undefined) refuse(response, refusal);
    else if (path === '/actions') await this.#act(request, response);
    else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      refuse(response, [405, 'only GET and HEAD']);
    } else if (path === '/events') await this.#watch(request, response);
    else this.#file(path, request, response);
    return true;
  }

  #file(path: string, request: IncomingMessage, response: ServerResponse): void {
    const [file, type] = FILES[path]!;
    let body = this.#files.get(path);
    if (body === undefined) {
      body = readFileSync(join(this.#options.directory, file));
      if (path === '/') body = Buffer.from(titled(body.toString(), this.#options.title));
      this.#files.set(path, body);
    }
    response.setHeader('Content-Type', type);
    response.setHeader('Content-Length', body.length);
    response.setHeader('Content-Security-Policy', POLICY);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Referrer-Policy', 'no-referrer');
    response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
    response.writeHead(200).end(request.method === 'HEAD' ? undefined : body);
  }

  async #watch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'HEAD' || this.#watchers.size >= MOST_WATCHERS) {
      refuse(response, [503, `${MOST_WATCHERS} watch already`]);
      return;
    }
    request.socket.setTimeout(0);
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
    response.write('retry: 1000\n\n');
    await this.#look();
    if (response.destroyed) return;
    this.#watchers.add(response);
    response.on('close', () => this.#watchers.delete(response));
    for (const watched of this.#watched.values()) this.#send([response], this.#wholeOf(watched));
    this.#keepLooking();
  }

  #wholeOf(watched: Watched): Update {
    return watched.whole(this.#options.token !== undefined);
  }

  #keepLooking(): void {
    this.#watchedUntil = Date.now() + LINGER;
    this.#timer ??= setInterval(() => {
      if (this.#watchers.size > 0) this.#watchedUntil = Date.now() + LINGER;
      else if (Date.now() > this.#watchedUntil) {
        this.#stop();
        return;
      }
      void this.#look();
    }, INTERVAL);
    this.#timer.unref();
  }

  /** Looks at all, and tells what is new: once more if it was asked for meanwhile. */
  #look(): Promise<void> {
    if (this.#running !== undefined) {
      this.#isDue = true;
      return this.#running;
    }
    this.#running = this.#lookOnce().finally(() => {
      this.#running = undefined;
      if (!this.#isDue) return;
      this.#isDue = false;
      void this.#look();
    });
    return this.#running;
  }

  async #lookOnce(): Promise<void> {
    const services = await this.#options.services().catch(() => []);
    for (const [key, watched] of this.#watched) {
      if (services.some((service) => service.key === key)) continue;
      watched.close();
      this.#watched.delete(key);
      this.#send(this.#watchers, { key, isGone: true });
    }
    await Promise.all(services.map((service) => this.#lookAt(service)));
  }

  async #lookAt(service: PageService): Promise<void> {
    const known = this.#watched.get(service.key);
    if (known !== undefined) {
      this.#send(this.#watchers, await known.look());
      return;
    }
    const watched = new Watched(service, (line) => {
      this.#send(this.#watchers, { key: service.key, lines: [line] });
      void this.#look();
    });
    this.#watched.set(service.key, watched);
    await watched.look();
    this.#send(this.#watchers, this.#wholeOf(watched));
  }

  #send(watchers: Iterable<ServerResponse>, update: Update): void {
    let text: string | undefined;
    for (const response of watchers) {
      text ??= `data: ${JSON.stringify(update)}\n\n`;
      // It comes again, and is told all.
      if (response.writableLength > MOST_WAITING) response.destroy();
      else response.write(text);
    }
  }

  async #act(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { token } = this.#options;
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'POST');
      refuse(response, [405, 'only POST']);
    } else if (token === undefined) refuse(response, [403, 'there is no token for actions here']);
    else if (!isToken(request.headers.authorization, token)) {
      response.setHeader('WWW-Authenticate', 'Bearer');
      refuse(response, [401, 'the token is wrong']);
    } else {
      const [key, action] = parseAction(await bodyOf(request));
      const service = this.#watched.get(key)?.service;
      if (action === undefined) refuse(response, [400, 'no such action']);
      else if (service?.act === undefined) refuse(response, [404, 'no such service']);
      else {
        try {
          await service.act(action);
          response.writeHead(204).end();
        } catch (error) {
          refuse(response, [409, (error as Error).message]);
        }
        void this.#look();
      }
    }
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const watched of this.#watched.values()) watched.close();
    this.#watched.clear();
  }

  [Symbol.dispose](): void {
    this.#stop();
    for (const response of this.#watchers) response.destroy();
  }
}

function refuse(response: ServerResponse, [code, why]: Refusal): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.writeHead(code).end(`${why}\n`);
}

const titled = (html: string, title: string) =>
  html.replaceAll(
    '{{title}}',
    title.replace(/[<>&"']/g, (sign) => `&#${sign.charCodeAt(0)};`),
  );

function isToken(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header?.replace(/^Bearer /i, '') ?? '');
  const wanted = Buffer.from(token);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > LONGEST_REQUEST) return '';
  }
  return text;
}

function parseAction(text: string): [key: string, action: PageAction | undefined] {
  let value: Record<string, unknown>;
  try {
    value = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return ['', undefined];
  }
  const { key, action, worker, workers } = value;
  switch (action) {
    case 'restart':
      if (worker === undefined) return [String(key), { action }];
      return [String(key), isCount(worker) ? { action, worker } : undefined];
    case 'reload':
    case 'recycle':
      return [String(key), { action }];
    case 'scale':
      return [String(key), isCount(workers) ? { action, workers } : undefined];
    default:
      return [String(key), undefined];
  }
}

const isCount = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
