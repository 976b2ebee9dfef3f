// doublefork dashboard: the status page of all that runs here; doublefork top beside it.

import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { expect } from 'vitest';
import { testFork } from '../../support/engine.js';
import { until } from '../../support/processes.js';
import { Place } from './command.js';

/** The dashboard, once it has said where it is. */
async function dashboard(place: Place, ...words: string[]) {
  const file = join(place.folder, 'address');
  const output = openSync(file, 'w');
  const running = place.launch(['dashboard', ...words], { stdio: ['ignore', output, 'pipe'] });
  closeSync(output);
  const said = () => readFileSync(file, 'utf8');
  await until(() => said().endsWith('\n'), 'the address');
  return { running, address: said().trim() };
}

interface Update {
  key: string;
  name?: string;
  canAct?: boolean;
  headline?: string;
  isGone?: boolean;
}

/** What the page is told, in order. */
async function watch(url: string): Promise<{ updates: Update[]; close(): void }> {
  const request = get(new URL('/events', url));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const updates: Update[] = [];
  let rest = '';
  response.setEncoding('utf8').on('data', (text: string) => {
    const events = (rest + text).split('\n\n');
    rest = events.pop()!;
    for (const event of events)
      if (event.startsWith('data: ')) updates.push(JSON.parse(event.slice(6)) as Update);
  });
  response.on('error', () => {});
  return { updates, close: () => request.destroy() };
}

const SLEEP = ['sh', '-c', 'exec sleep 100'];

testFork(
  'shows all that runs here, also what starts and ends later, and acts with its token',
  async () => {
    const place = new Place();
    const start = (name: string) =>
      place.run('start', '--name', name, '--restart', 'always', '--workers', '2', '--', ...SLEEP);
    await start('one');
    const { running, address } = await dashboard(place);
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{32}$/);
    const { updates, close } = await watch(address);
    const whole = (name: string) => updates.find((update) => update.name === name);
    await until(() => whole('one')?.headline === '2 of 2 workers ready', 'one');
    expect(whole('one')).toMatchObject({ canAct: true });
    await start('two');
    await until(() => whole('two') !== undefined, 'two');
    const order = (token: string) =>
      fetch(new URL('/actions', address), {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ key: whole('two')!.key, action: 'scale', workers: 3 }),
      });
    expect((await order('wrong')).status).toBe(401);
    expect((await order(new URL(address).hash.slice('#token='.length))).status).toBe(204);
    await until(
      () =>
        updates.some(
          ({ key, headline }) => key === whole('two')!.key && headline === '3 of 3 workers ready',
        ),
      'the third worker',
    );
    const top = (await place.run('top', '--count', '1')).stdout;
    expect(top).toMatch(/one: 2 of 2 workers ready/);
    expect(top).toMatch(/two: 3 of 3 workers ready/);
    await place.run('stop', 'one');
    await until(
      () => updates.some(({ key, isGone }) => isGone && key === whole('one')!.key),
      'its end',
    );
    close();
    await place.run('stop', 'two');
    process.kill(running.pid, 'SIGTERM');
    await running.ended;
  },
);

testFork('a name that is not known, and a port that is taken, are errors', async () => {
  const place = new Place();
  expect(await place.run('dashboard', 'nobody')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no daemon is known as nobody'),
  });
  expect(await place.run('dashboard', '--port', '70000')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('It must be a number from 0 to 65535.'),
  });
  const { running, address } = await dashboard(place, '--read-only');
  expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  const { port } = new URL(address);
  expect(await place.run('dashboard', '--port', port)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('EADDRINUSE'),
  });
  process.kill(running.pid, 'SIGTERM');
  await running.ended;
});
