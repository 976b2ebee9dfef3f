// How far a reload or a rollback has come is told to whoever waits for it.

import { describe, expect, test } from 'vitest';
import { node } from '../../support/node.js';
import { Terminal } from '../../support/pty.js';
import { COMMAND, Place } from '../cli/command.js';
import { Service } from './service.js';

const phases = (stderr: string) =>
  stderr
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

describe('with --json each phase is a line on stderr, and stdout is what was done', () => {
  test('of a reload, and of a rollback', async () => {
    const service = await Service.start({ name: '1' });
    service.deploy({ name: '2' });
    const place = new Place();
    const reload = await place.run('reload', '--control', service.control, '--json');
    const [image] = service.images();
    expect(phases(reload.stderr)).toEqual(
      ['collecting', 'starting', 'arrived', 'serves'].map((phase) => {
        const who =
          phase === 'collecting'
            ? { image: 1, imagePid: service.pid }
            : { image: 2, imagePid: image };
        return { name: service.control, phase, ...who };
      }),
    );
    expect(reload.code).toBe(0);
    expect(JSON.parse(reload.stdout)).toMatchObject([{ pid: service.pid, ready: 2 }]);
    const rollback = await place.run('rollback', '--control', service.control, '--json');
    expect(phases(rollback.stderr)).toEqual(
      ['resuming', 'serves'].map((phase) => {
        return { name: service.control, phase, image: 1, imagePid: service.pid };
      }),
    );
    expect(JSON.parse(rollback.stdout)).toMatchObject([{ pid: service.pid }]);
    expect((await service.stop()).code).toBe(0);
  });

  test('of one that fails: as far as it came, then the error', async () => {
    const service = await Service.start({ name: '1' });
    service.deploy({ name: '2', after: "throw new Error('broken version');" });
    const failed = await new Place().run('reload', '--control', service.control, '--json');
    const said = phases(failed.stderr);
    expect(said.slice(0, -1).map(({ phase }) => phase)).toEqual([
      'collecting',
      'starting',
      'arrived',
    ]);
    expect(said.at(-1).error).toContain('broken version');
    expect({ code: failed.code, stdout: failed.stdout }).toEqual({ code: 1, stdout: '' });
    expect((await service.get()).version).toBe('1');
    expect((await service.stop()).code).toBe(0);
  });
});

test('a terminal shows the phase that it is in; a log of a deploy has none of it', async () => {
  const service = await Service.start({ name: '1' });
  service.deploy({ name: '2', before: 'await new Promise((done) => setTimeout(done, 300));' });
  const args = [COMMAND, 'reload', '--control', service.control];
  const { output, code } = await Terminal.launch(node, args).ended;
  const [image] = service.images();
  for (const what of ['is started', 'runs; its workers are not ready yet', 'serves; the one'])
    expect(output).toContain(`image 2 (pid ${image}) ${what}`);
  expect(code).toBe(0);
  const silent = await new Place().run('reload', '--control', service.control);
  expect({ code: silent.code, stderr: silent.stderr }).toEqual({ code: 0, stderr: '' });
  expect((await service.stop()).code).toBe(0);
});

test('who does not ask for phases is answered with one line, as ever', async () => {
  const service = await Service.start({ name: '1' });
  await service.reload();
  const told: string[] = [];
  await service.ask((client) => client.reload(({ phase }) => told.push(phase)));
  expect(told).toEqual(['collecting', 'starting', 'arrived', 'serves']);
  expect((await service.stop()).code).toBe(0);
});
