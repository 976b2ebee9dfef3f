// A check of monit, which wants a daemon with a pidfile: `doublefork start` makes one.

import { pidfileFor } from '../../control/folders.js';
import { refuse, seconds, signature, type UnitFacts, type UnitFile } from './facts.js';
import { commandLine } from './shell.js';

/** More than an hour it does not wait. */
const LONGEST = 3600;

/** @param config the file that has the app */
export function monit(facts: UnitFacts, config: string | undefined): UnitFile[] {
  const { name, self, stop, app, timeout, sockets, health } = facts;
  const from = config === undefined ? [] : ['--config', config];
  const action = (verb: string, limit: number, ...more: string[]) => {
    const line = commandLine([...self, verb, ...more, name]);
    if (line.includes('"'))
      refuse('monit', 'a path with "', 'move it: monit has no way to write it');
    return `  ${verb} program = "${line}" with timeout ${Math.min(Math.ceil(limit), LONGEST)} seconds`;
  };
  const starts = (app.ready === 'none' ? app.settle : timeout) / 1000 + 30;
  const stops = seconds(stop.total, LONGEST) + 10;
  const lines = [
    signature(name),
    `check process ${name} with pidfile "${pidfileFor(app)}"`,
    action('start', starts, ...from),
    action('stop', stops),
    action('restart', starts + stops, ...from),
    ...sockets.map((address) => `  if failed ${connection(address)} for 3 cycles then restart`),
    ...(health === undefined
      ? []
      : [
          `  if failed host 127.0.0.1 port ${health} protocol http request "/livez" for 3 cycles then restart`,
        ]),
  ];
  return [{ file: name, text: `${lines.join('\n')}\n` }];
}

function connection(address: string): string {
  if (address.startsWith('/')) return `unixsocket "${address}"`;
  const at = address.lastIndexOf(':');
  const host = at < 0 ? '127.0.0.1' : address.slice(0, at).replace(/^\[|\]$/g, '');
  return `host ${host} port ${address.slice(at + 1)}`;
}
