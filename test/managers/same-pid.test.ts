// The pid of a service is the same before and after 20 reloads, for everybody who has remembered it. C35.
//
//   npm run test:managers -- same-pid

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlClient } from 'doublefork/control';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { isInstalled, MANAGERS, type Managed, manage } from '../support/managers/others.js';
import { Service } from '../support/managers/service.js';
import { Systemd, testWithSystemd } from '../support/managers/systemd.js';
import { node } from '../support/node.js';
import { until } from '../support/processes.js';
import { execute } from '../support/program.js';
import { isRoot } from '../support/root.js';

const RELOADS = 20;

/** A service with a worker, and the path of its control socket. */
function supervised(before = ''): { service: Service; control: string } {
  const control = join(temporaryFolder(), 'control');
  const service = new Service(`
    ${before}
    const worker = supervise({ control: '${control}', log: 'none', ready: 'manual' });
    worker.signal.addEventListener('abort', () => process.exit());
    setInterval(() => {}, 1e6);
    worker.ready();
  `);
  return { service, control };
}

async function ask<T>(
  control: string,
  question: (client: ControlClient) => Promise<T>,
): Promise<T> {
  await using client = await ControlClient.connect(control);
  return await question(client);
}

/** Reloads it so often, each time into another image; @returns the pid that it has itself */
async function reloadAll(control: string): Promise<number> {
  const status = () => ask(control, (client) => client.status());
  const isReady = async () => {
    const found = await status().catch(() => undefined);
    return found?.workers.every(({ state }) => state === 'ready') === true;
  };
  await until(isReady, 'the service');
  for (let count = 0; count < RELOADS; count++) await ask(control, (client) => client.reload());
  const { image, pid } = await status();
  expect(image.number).toBe(1 + RELOADS);
  return pid;
}

/** Who remembers the pid, and what they say that it is. */
const WATCHERS: Record<string, { tool: string; says(managed: Managed): Promise<string> }> = {
  runit: {
    tool: 'sv',
    says: async ({ directory }) => {
      const { stdout } = await execute('sv', ['status', join(directory, 'svc')]);
      return /\(pid (\d+)\)/.exec(stdout)?.[1] ?? stdout;
    },
  },
  s6: {
    tool: 's6-svstat',
    says: async ({ directory }) =>
      (await execute('s6-svstat', ['-o', 'pid', join(directory, 'svc')])).stdout.trim(),
  },
  supervisord: {
    tool: 'supervisorctl',
    says: async ({ directory }) => {
      const conf = join(directory, 'supervisord.conf');
      const { stdout } = await execute('supervisorctl', ['-c', conf, 'status', 'app']);
      return /RUNNING +pid (\d+)/.exec(stdout)?.[1] ?? stdout;
    },
  },
};

for (const [name, { tool, says }] of Object.entries(WATCHERS)) {
  const manager = MANAGERS[name as keyof typeof MANAGERS];
  const isThere = isRoot && isInstalled(tool) && isInstalled(manager.command);
  test.skipIf(!isThere)(`${tool} says the same pid`, async () => {
    const { service, control } = supervised();
    const managed = manage(manager, service.line);
    await until(async () => /^\d+$/.test(await says(managed)), 'it runs');
    const before = await says(managed);
    const own = await reloadAll(control);
    expect([await says(managed), String(own)]).toEqual([before, before]);
  });
}

test.skipIf(!isRoot)('process 1 of a container is process 1', async () => {
  const { service, control } = supervised();
  const { running } = manage(MANAGERS['process 1'], service.line);
  expect(await reloadAll(control)).toBe(1);
  expect(running.pid).toBeGreaterThan(1);
});

testWithSystemd('systemctl status says the same pid, and no restart', async () => {
  const { service, control } = supervised();
  const systemd = await Systemd.boot({
    'app.service': `[Service]\nType=notify\nRestart=always\nExecStart=${service.line}`,
  });
  await systemd.do('start', 'app');
  const before = (await systemd.ctl('status', 'app')).stdout.match(/Main PID: (\d+)/)?.[1];
  expect(before).toMatch(/^\d+$/);
  await reloadAll(control);
  expect((await systemd.ctl('status', 'app')).stdout.match(/Main PID: (\d+)/)?.[1]).toBe(before);
  expect(await systemd.show('app', 'NRestarts')).toBe('0');
});

test('the pidfile says the same pid', async () => {
  const pidfile = join(temporaryFolder(), 'pid');
  const { service, control } = supervised(`daemonize({ pidfile: '${pidfile}' });`);
  expect((await execute(node, [service.file])).code).toBe(0);
  const before = readFileSync(pidfile, 'utf8');
  const pid = await reloadAll(control);
  expect([readFileSync(pidfile, 'utf8'), `${pid}\n`]).toEqual([before, before]);
  await ask(control, async (client) => {
    await client.stop();
    await client.closed;
  });
});
