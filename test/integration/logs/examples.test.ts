// examples/pino and examples/winston, through fork, reload, rotation and crash. `node tools/loggers.mjs` installs both.

import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ControlClient } from '../../../src/supervise/control-client.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { launch } from '../../support/program.js';
import { archives, finished, lines } from './tools.js';

const INSTALLED = join(root, '.loggers/node_modules');
const testWithLoggers = test.skipIf(!existsSync(join(INSTALLED, 'winston')));

testWithLoggers.each(['pino', 'winston'])(
  '%s: each line once, with its worker, through reload, rotation and crash',
  async (name) => {
    const directory = temporaryFolder();
    cpSync(join(root, 'examples', name), directory, { recursive: true });
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(root, join(directory, 'node_modules/doublefork'));
    symlinkSync(join(INSTALLED, name), join(directory, 'node_modules', name));
    const file = join(directory, 'web.log');
    const running = launch(node, [join(directory, 'server.mjs')], {
      cwd: directory,
      env: { MAX_SIZE: '8000' },
    });
    expect(await running.exited).toMatchObject({ code: 0 });
    const pid = Number(readFileSync(`${file}.pid`, 'utf8'));
    /** Whether it was answered. */
    const ask = (path: string) =>
      new Promise<boolean>((resolve) => {
        const socketPath = join(directory, 'web.sock');
        const request = get({ socketPath, path, agent: false }, (response) => {
          response.resume().on('end', () => resolve(true));
        });
        request.on('error', () => resolve(false));
      });
    const all: string[] = [];
    const some = async (count: number) => {
      for (let i = 0; i < count; i++) {
        all.push(`/${all.length}`);
        expect(await ask(all.at(-1)!)).toBe(true);
      }
    };
    await some(150);
    expect(await ask('/crash')).toBe(false);
    await some(50);
    await using client = await ControlClient.connect(join(directory, 'web.control'));
    await client.reload();
    await some(150);
    process.kill(pid, 'SIGTERM');
    await running.ended;
    await finished(file);

    const entries = lines(file).map((line) => JSON.parse(line));
    const requests = entries.filter(({ url }) => url !== undefined && url !== '/crash');
    // Two workers, each of which has a pipe of its own: in order for each alone.
    const numbers = requests.map(({ url }) => Number(url.slice(1))).sort((a, b) => a - b);
    expect(numbers).toEqual(all.map((_, i) => i));
    for (const { service, worker, pid } of requests) {
      expect({ service, worker, pid }).toEqual({
        service: 'web',
        worker: expect.any(Number),
        pid: expect.any(Number),
      });
    }
    const crash = entries.find(({ msg, message }) => (msg ?? message) === 'crashed');
    expect(crash).toMatchObject({ service: 'web', worker: expect.any(Number) });
    expect(JSON.stringify(crash.err)).toContain('asked to');
    expect(archives(file).length).toBeGreaterThan(2);
  },
);
