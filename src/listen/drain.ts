// drain(): a server ends, and no request is lost by it.
//
// node's server.close() stops accepting, which is wanted, and closes connections that wait for their
// first or their next request, where that request may be on its way. So only the accepting is stopped
// here; each connection is told with an answer that it was the last one.

import type { Server as HttpServer, ServerResponse } from 'node:http';
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { integer, invalidType } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';

/** Options of {@link drain}. Times are in ms. */
export interface DrainOptions {
  /**
   * What is open after this time is cut off. Default 9000: below the 10 s that supervise() and
   * `doublefork stop` wait before they kill.
   */
  timeout?: number;
  /**
   * How long connections stay that have no request under way: on which none has come yet, or that
   * were kept alive by an answer from before. Default: what those answers have promised, the server's
   * `keepAliveTimeout`, and 5000 if that is shorter; at most `timeout`. A client that pauses for longer
   * may send its next request just as the connection is closed, which HTTP cannot prevent.
   */
  idleTimeout?: number;
}

/** How it went. */
export interface Drained {
  /** Connections that were still open at the end of `timeout`, and were cut off; 0: nothing was lost. */
  cut: number;
}

/** 24 days, the longest that a timer of node's can do. */
const LONGEST = 2 ** 31 - 1;

/** The highest stream there can be: "no more, please; what is on its way I take": RFC 9113, 6.8. */
const LAST_STREAM = 2 ** 31 - 1;

const draining = new WeakMap<Server, Promise<Drained>>();

/**
 * Stops accepting, answers what has come and what comes on connections that are open, and ends them
 * one by one:
 *
 * - HTTP/1.1: every answer from now on says `Connection: close`. A connection on which nothing has come
 *   yet gets its first request answered. Idle ones stay until their next request, or for `idleTimeout`.
 * - HTTP/2: a session is told (GOAWAY) before the answer to its next request, and again with the last
 *   stream that is answered. Idle ones are told after `idleTimeout`.
 * - Upgraded connections (WebSocket) and those of node:net are the program's to end: say goodbye on them
 *   in the same place. They may stay until `timeout`.
 *
 * @param server of node:http, https, http2, net or tls
 * @returns a promise for when all connections are closed; the same one for each call
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function drain(server: Server, options: DrainOptions = {}): Promise<Drained> {
  // Not imported: it is loaded where there is a server.
  const net = process.getBuiltinModule('node:net');
  if (!(server instanceof net.Server)) {
    throw invalidType('server', 'a server of node:http, https, http2, net or tls', server);
  }
  refuseUnknown(options, ['timeout', 'idleTimeout'], 'options');
  const timeout = integer(options.timeout ?? 9000, 'options.timeout', 0, LONGEST);
  const idleTimeout = Math.min(
    timeout,
    integer(options.idleTimeout ?? promisedBy(server), 'options.idleTimeout', 0, LONGEST),
  );
  const known = draining.get(server);
  if (known !== undefined) return known;
  const drained = new Promise<Drained>((resolve) => {
    const deadline = setTimeout(() => resolve({ cut: cutOff(server) }), timeout).unref();
    afterAccepting(() => {
      // Not that of http.Server, which ends what is idle. Its callback comes when the last connection
      // has gone, also for a server that had stopped before (with an error then).
      net.Server.prototype.close.call(server, () => {
        clearTimeout(deadline);
        resolve({ cut: 0 });
      });
    });
    const isHttp2 = 'updateSettings' in server;
    // A server of http2 may take HTTP/1.1 as well.
    if (isHttp2 || 'closeIdleConnections' in server) drainHttp(server as HttpServer, idleTimeout);
    if (isHttp2) drainHttp2(server, idleTimeout);
  });
  draining.set(server, drained);
  return drained;
}

/** For how long a client may believe that it can use a connection. */
function promisedBy(server: Server & { keepAliveTimeout?: number }): number {
  return Math.max(5000, Math.min(server.keepAliveTimeout ?? 0, LONGEST));
}

/** Once the event loop has accepted what waits, which would be reset with the listening socket. */
function afterAccepting(close: () => void): void {
  setImmediate(() => setImmediate(close));
}

// HTTP/1.1

/** The events with a request that wants an answer. */
const REQUESTS = ['request', 'checkContinue', 'checkExpectation'];

function drainHttp(server: HttpServer, idleTimeout: number): void {
  for (const event of REQUESTS) {
    // To listen for the others means to answer them.
    if (server.listenerCount(event) === 0) continue;
    server.prependListener(event, (_: unknown, response: ServerResponse) => isLast(response));
  }
  for (const response of responsesOf(server)) isLast(response);
  // For those that are being answered, and were told before that they may stay.
  server.keepAliveTimeout = Math.min(server.keepAliveTimeout || idleTimeout, idleTimeout);
  afterIdle(idleTimeout, () => {
    // Those that were answered before. The others, on which nothing has come, node counts as busy.
    closeIdle(server);
    for (const socket of [...socketsOf(server), ...httpSocketsOf(server)]) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  });
}

/**
 * Not node's own closeIdleConnections(), for which a connection is idle once its answer is ended: the
 * client may not have read it all, and would lose the rest.
 */
function closeIdle(server: HttpServer): void {
  const list = connectionsOf(server);
  if (list === undefined) server.closeIdleConnections?.();
  for (const { socket } of list?.idle() ?? []) if (!socket?._httpMessage) socket?.destroy();
}

function isLast(response: ServerResponse): void {
  // One of HTTP/2 knows no such thing.
  if ('shouldKeepAlive' in response && !response.headersSent) response.shouldKeepAlive = false;
}

/** Once what has come by then is read, which happens between timers and immediates. */
function afterIdle(idleTimeout: number, close: () => void): void {
  setTimeout(() => setImmediate(close), idleTimeout).unref();
}

/** The answers that are due, for requests that came before. */
function responsesOf(server: HttpServer): ServerResponse[] {
  return httpSocketsOf(server).flatMap(({ _httpMessage }) => _httpMessage ?? []);
}

/** A connection, and the answer that is due on it. */
type HttpSocket = Socket & { _httpMessage?: ServerResponse | null };

/** What node keeps under a symbol: the parsers of all connections, also of those over TLS. */
interface ConnectionsList {
  all(): { socket?: HttpSocket | null }[];
  /** On which no request is under way; the answer may be. */
  idle(): { socket?: HttpSocket | null }[];
}

/**
 * The connections, which node does not show. If one day it keeps them elsewhere, what is due is not
 * told to be the last answer, and these connections end by `idleTimeout`.
 */
function httpSocketsOf(server: HttpServer): HttpSocket[] {
  return (connectionsOf(server)?.all() ?? []).flatMap(({ socket }) => socket ?? []);
}

function connectionsOf(server: HttpServer): ConnectionsList | undefined {
  const symbol = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'http.server.connections',
  );
  return (server as unknown as Record<symbol, ConnectionsList | undefined>)[symbol!];
}

// HTTP/2

/**
 * A session is told when it asks for the next thing. Told while nothing is under way, node would stop to
 * read at once, and lose what has been sent meanwhile; and some clients take a GOAWAY that comes before
 * their first answer for a failure.
 */
function drainHttp2(server: Server, idleTimeout: number): void {
  const sessions = new Set<Http2Session>(sessionsOf(server));
  const told = new WeakSet<Http2Session>();
  server.on('session', (session: Http2Session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.prependListener('stream', (stream: ServerHttp2Stream) => {
    const { session } = stream;
    if (session === undefined || session.destroyed || session.closed || told.has(session)) return;
    told.add(session);
    session.goaway(0, LAST_STREAM);
    // With the last stream that is answered. The client's answer to the ping comes behind whatever it
    // had sent before it knew; so does the end of this stream, as it knows with the answer.
    session.ping(() => session.close());
    stream.once('close', () => session.close());
  });
  afterIdle(idleTimeout, () => {
    for (const session of sessions) session.close();
  });
}

/**
 * The sessions that are open. Before version 24 node shows those over TLS to nobody: if they ask for
 * nothing more, they end with `timeout`.
 */
function sessionsOf(server: Server): Http2Session[] {
  const symbol = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'sessions',
  );
  const sessions = (server as unknown as Record<symbol, unknown>)[symbol!];
  if (sessions instanceof Set) return [...(sessions as Set<Http2Session>)];
  return socketsOf(server).flatMap((socket) => Object.values(socket).filter(isSession));
}

function isSession(value: unknown): value is Http2Session {
  return typeof (value as Http2Session | null | undefined)?.goaway === 'function';
}

// Sockets

/**
 * The accepted sockets of a server. Node counts them (`getConnections`) and does not list them; of all
 * the open handles of the process each accepted one knows its server.
 */
function socketsOf(server: Server): Socket[] {
  const { _getActiveHandles: handles } = process as unknown as {
    _getActiveHandles?: () => (Socket & { server?: unknown })[];
  };
  return (handles?.() ?? []).filter((handle) => handle.server === server);
}

/** @returns how many there were */
function cutOff(server: Server): number {
  const sockets = socketsOf(server);
  // Its own way, for what was not listed above.
  (server as HttpServer).closeAllConnections?.();
  for (const socket of sockets) socket.destroy();
  return sockets.length;
}
