// kill -9 of either side at every point of the protocol between a keeper and an image: afterwards exactly
// one generation serves, or with the keeper all has ended. C36.
//
// With the exec engine: npm run test:protocol.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ORDERS, WORDS } from '../../../src/supervise/image-channel.js';
import { root } from '../../support/node.js';
import { killQuietly, until } from '../../support/processes.js';
import { Service } from './service.js';

const ASKS = "process.on('SIGUSR2', () => worker.reload());";

/** What has the message sent, where image 2 serves. */
const CAUSES: Readonly<
  Record<keyof typeof ORDERS | keyof typeof WORDS, (service: Service) => Promise<unknown>>
> = {
  arrived: deployAndReload,
  ready: deployAndReload,
  parked: deployAndReload,
  park: deployAndReload,
  log: deployAndReload,
  failed: async (service) => {
    service.deploy({ name: '3', after: "throw new Error('broken');" });
    await service.reload();
  },
  request: (service) => service.status(),
  answer: (service) => service.status(),
  reload: async (service) => {
    service.deploy({ name: '3' });
    const { workers } = await service.status();
    killQuietly(workers[0]!.pid!, 'SIGUSR2');
  },
  resume: (service) => service.rollback(),
};

async function deployAndReload(service: Service): Promise<void> {
  service.deploy({ name: '3' });
  await service.reload();
}

/** A service whose second image serves. */
async function startTwo(): Promise<Service> {
  const preload = join(import.meta.dirname, 'kill-at.cjs');
  const service = await Service.start(
    { name: '1', after: ASKS },
    { env: { NODE_OPTIONS: `--require ${preload}` } },
  );
  service.deploy({ name: '2', after: ASKS });
  await service.reload();
  return service;
}

const isOrder = (message: string): boolean => message in ORDERS;

/** @param sender whether the sender is killed, or who is to hear it */
async function killAt(
  service: Service,
  message: keyof typeof CAUSES,
  when: 'before' | 'after',
  sender: boolean,
): Promise<void> {
  const { image } = await service.status();
  if (message === 'resume') await deployAndReload(service);
  const other = isOrder(message) ? image.pid : service.pid;
  const file = `${service.control}.kill`;
  writeFileSync(file, JSON.stringify({ message, when, pid: sender ? 0 : other }));
  // What is answered, if anything, is not what this is about; that something is.
  await CAUSES[message](service).catch(() => {});
  await until(() => !existsSync(file), 'the point of the protocol');
}

/** A worker has one, which holds its memory for as long as it lives. */
function isHolder(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8') === 'memory-holder\n';
  } catch {
    // It has ended.
    return true;
  }
}

async function expectOneGeneration(service: Service): Promise<void> {
  const settled = async () => {
    const status = await service.status().catch(() => undefined);
    if (status === undefined || !status.workers.every(({ state }) => state === 'ready'))
      return false;
    const { image, previous, workers, spares } = status;
    const known = [
      service.pid,
      image.pid,
      previous?.pid,
      ...workers.map(({ pid }) => pid),
      ...spares,
    ];
    return service.family().every((pid) => known.includes(pid) || isHolder(pid));
  };
  await until(settled, 'one generation, and nobody beside it');
  const answers = await Promise.all(Array.from({ length: 20 }, () => service.get()));
  expect(new Set(answers.map(({ version }) => version)).size).toBe(1);
  // It can go on from there.
  service.deploy({ name: 'next' });
  await service.reload();
  expect((await service.get()).version).toBe('next');
  expect((await service.stop()).code).toBe(0);
}

async function expectTheEnd(service: Service): Promise<void> {
  await service.running.exited;
  await until(() => service.family().length === 0, 'the end of all');
}

describe.each(Object.keys(CAUSES) as (keyof typeof CAUSES)[])('%s', (message) => {
  test.each(['before', 'after'] as const)('%s it is sent', async (when) => {
    await Promise.all(
      [true, false].map(async (sender) => {
        const service = await startTwo();
        await killAt(service, message, when, sender);
        const keeperIsGone = isOrder(message) === sender;
        if (keeperIsGone) await expectTheEnd(service);
        else await expectOneGeneration(service);
      }),
    );
  });
});

test('the documentation has each message', () => {
  const page = readFileSync(join(root, 'docs/reload.md'), 'utf8');
  for (const [message, meaning] of Object.entries({ ...ORDERS, ...WORDS })) {
    // Some are the name of a phase, too.
    const rows = page.split('\n').filter((line) => line.startsWith(`| \`${message}\``));
    expect(rows.join('\n'), message).toContain(meaning);
  }
});
