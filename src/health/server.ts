// The endpoints. Whoever scrapes slowly, often or with much to say is not to be felt by the program.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { metricsOf, type PrometheusClient } from './metrics.js';
import type { StatusPage } from './page.js';
import { type Finding, lifeSigns, overview, readiness, type Sight } from './view.js';

export interface Source {
  /** What is to be seen now. */
  look(): Promise<Sight>;
  /** Metrics beside ours. */
  registry?: Registry | undefined;
  page?: StatusPage | undefined;
}

/** Where to listen. */
export type Place = { fd: number } | { host: string; port: number };

/** How many may be connected at once. */
const MOST_CONNECTIONS = 128;
/** How long a request may take to come, and a connection may be silent. In ms. */
const PATIENCE = 5000;

export function serve(source: Source, place: Place): Server {
  const look = oneAtATime(() => source.look());
  return listen(place, async (request, response) => {
    if ((await source.page?.answer(request, response)) !== true) {
      await answer(request, response, look, source.registry);
    }
  });
}

/** The page alone. */
export function servePage(page: StatusPage, place: Place): Server {
  return listen(place, async (request, response) => {
    if (!(await page.answer(request, response)))
      text(response, 404, 'here is the status page: /\n');
  });
}

function listen(
  place: Place,
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Server {
  const options = {
    requestTimeout: PATIENCE,
    headersTimeout: PATIENCE,
    keepAliveTimeout: PATIENCE,
    connectionsCheckingInterval: 1000,
  };
  const server = createServer(options, (request, response) => {
    response.setHeader('Cache-Control', 'no-store');
    answer(request, response).catch((error: Error) => {
      if (!response.headersSent) text(response, 500, `${error.message}\n`);
      else response.destroy();
    });
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.listen(place);
  return server;
}

/** A thousand who ask at once are answered from one look. */
function oneAtATime<T>(look: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= look().finally(() => {
      running = undefined;
    });
    return running;
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  look: () => Promise<Sight>,
  registry: Registry | undefined,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    text(response, 405, 'only GET and HEAD\n');
    return;
  }
  switch (request.url?.split('?', 1)[0]) {
    case '/livez':
      findings(response, lifeSigns(await look()));
      return;
    case '/readyz':
      findings(response, readiness(await look()));
      return;
    case '/healthz': {
      const sight = await look();
      response.setHeader('Content-Type', 'application/json');
      const isLive = lifeSigns(sight).every(({ ok }) => ok);
      response.writeHead(isLive ? 200 : 503).end(`${JSON.stringify(overview(sight))}\n`);
      return;
    }
    case '/metrics':
      await metrics(request, response, await look(), registry);
      return;
    default:
      text(response, 404, 'here are /livez, /readyz, /healthz and /metrics; for people /\n');
  }
}

/** As Kubernetes' own endpoints have it: a line for each, and the code for all. */
function findings(response: ServerResponse, all: Finding[]): void {
  const isWell = all.every(({ ok }) => ok);
  const lines = all.map(
    ({ name, ok, error }) => `[${ok ? '+' : '-'}] ${name}${ok ? '' : `: ${error}`}\n`,
  );
  text(response, isWell ? 200 : 503, `${lines.join('')}${isWell ? 'ok' : 'not ok'}\n`);
}

function text(response: ServerResponse, code: number, body: string): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.writeHead(code).end(body);
}

async function metrics(
  request: IncomingMessage,
  response: ServerResponse,
  sight: Sight,
  registry: Registry | undefined,
): Promise<void> {
  let prometheus: PrometheusClient;
  try {
    prometheus = await import('prom-client');
  } catch {
    text(response, 501, 'metrics are made by the package prom-client: npm install prom-client\n');
    return;
  }
  const ours = metricsOf(prometheus, sight);
  const all = registry === undefined ? ours : prometheus.Registry.merge([ours, registry]);
  // OpenMetrics for who asks for it, as Prometheus does.
  if (request.headers.accept?.includes('application/openmetrics-text')) {
    all.setContentType(prometheus.Registry.OPENMETRICS_CONTENT_TYPE as never);
  }
  response.setHeader('Content-Type', all.contentType);
  response.writeHead(200).end(await all.metrics());
}
