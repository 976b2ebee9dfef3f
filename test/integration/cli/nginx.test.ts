// A real server that knows nothing of us: Debian's nginx.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { stat, until } from '../../support/processes.js';
import { Place } from './command.js';

const hasNginx = spawnSync('nginx', ['-v']).status === 0;

/** Fetches a page over a unix socket: another program could be given a port while nginx restarts. */
async function fetchFrom(socketPath: string): Promise<string> {
  const [response] = (await once(request({ socketPath, agent: false }).end(), 'response')) as [
    IncomingMessage,
  ];
  return await text(response);
}

test.skipIf(!hasNginx)('nginx: start, reload, restart, stop', async () => {
  const place = new Place();
  const socket = join(place.folder, 'socket');
  const config = (answer: string) => `
    daemon off;
    pid ${place.folder}/nginx-own.pid;
    error_log ${place.folder}/error.log;
    events {}
    http {
      access_log off;
      server { listen unix:${socket}; location / { return 200 "${answer}"; } }
    }`;
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'])
    mkdirSync(join(place.folder, name));
  writeFileSync(join(place.folder, 'nginx.conf'), config('one'));
  const answer = () => fetchFrom(socket);

  const argv = ['nginx', '-p', place.folder, '-c', join(place.folder, 'nginx.conf')];
  expect(await place.run('start', '--name', 'web', '--', ...argv)).toMatchObject({ code: 0 });
  const { pid } = await place.status('web');
  await until(
    () =>
      answer().then(
        (text) => text === 'one',
        () => false,
      ),
    'nginx serves',
  );
  expect(readFileSync(join(place.state, 'web.pid'), 'utf8')).toBe(`${pid}\n`);
  expect(readFileSync(join(place.folder, 'nginx-own.pid'), 'utf8')).toBe(`${pid}\n`);

  writeFileSync(join(place.folder, 'nginx.conf'), config('two'));
  expect(await place.run('reload', 'web')).toMatchObject({ code: 0 });
  await until(
    () =>
      answer().then(
        (text) => text === 'two',
        () => false,
      ),
    'nginx has reloaded',
  );
  expect((await place.status('web')).pid).toBe(pid);

  expect(await place.run('restart', 'web')).toMatchObject({ code: 0 });
  const second = await place.status('web');
  expect(second.pid).not.toBe(pid);
  await until(
    () =>
      answer().then(
        (text) => text === 'two',
        () => false,
      ),
    'nginx serves again',
  );

  // SIGQUIT has it finish what it serves.
  expect(await place.run('stop', 'web', '--schedule', 'QUIT/10/KILL/5')).toMatchObject({ code: 0 });
  expect(stat(second.pid)?.state ?? 'Z').toBe('Z');
  await expect(answer()).rejects.toThrow();
  expect((await place.run('status', 'web')).code).toBe(3);
});
