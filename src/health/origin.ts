// Whether a request may come from the page itself: against other origins in the same browser, and against
// names that somebody has made lead to this machine (DNS rebinding).

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

export type Refusal = readonly [code: number, why: string];

/**
 * @param hosts names that may be asked for, beside addresses and localhost: somebody's name that leads here is none
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function refusalOf(
  { headers, method }: Pick<IncomingMessage, 'headers' | 'method'>,
  hosts: readonly string[],
): Refusal | undefined {
  const host = headers.host ?? '';
  const name = nameOf(host);
  if (name === undefined || !(isIP(name) > 0 || isLocal(name) || hosts.includes(name))) {
    return [
      403,
      `not known here under this name: give it to health({ hosts: [${JSON.stringify(name ?? host)}] })`,
    ];
  }
  const site = headers['sec-fetch-site'];
  const isOwn = site === undefined || site === 'same-origin';
  // To type an address, or to follow a link, is to ask for a page; what it contains and does is its own.
  const isVisit = site === 'none' || headers['sec-fetch-mode'] === 'navigate';
  const isRead = method === 'GET' || method === 'HEAD';
  if (!isOwn && !(isVisit && isRead)) return [403, 'asked for by another site'];
  const { origin } = headers;
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
    return [403, 'asked for by another origin'];
  return undefined;
}

function nameOf(host: string): string | undefined {
  if (host === '' || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname.replace(/^\[(.*)\]$/, '$1');
}

const isLocal = (name: string) => name === 'localhost' || name.endsWith('.localhost');
