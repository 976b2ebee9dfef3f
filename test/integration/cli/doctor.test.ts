// doublefork doctor, about the project in whose directory it is run.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Place } from './command.js';

function install(directory: string, name: string, version: string): void {
  const at = join(directory, 'node_modules', name);
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, 'package.json'), JSON.stringify({ name, version }));
}

test('names installed packages that do not go with a fork, in the versions that do not', async () => {
  const place = new Place();
  const inside = join(place.folder, 'packages/app');
  mkdirSync(inside, { recursive: true });
  install(place.folder, 'uuid', '9.0.1');
  install(inside, 'nanoid', '5.1.0');
  const doctor = async (cwd: string) => {
    const running = place.launch(['doctor', '--json'], { cwd });
    await running.exited;
    const findings: { what: string; verdict: string; detail: string }[] = JSON.parse(
      (await running.ended).stdout,
    );
    return findings.filter(({ what }) => what.startsWith('package: '));
  };

  expect(await doctor(inside)).toEqual([
    {
      what: 'package: nanoid',
      verdict: 'warning',
      detail: expect.stringContaining('nanoid 5.1.0 keeps a stock of random ids'),
    },
    { what: 'package: uuid', verdict: 'warning', detail: expect.stringContaining('onFork()') },
  ]);
  install(inside, 'zeromq', '6.5.0');
  expect((await doctor(inside)).at(-1)!.detail).toContain("engine: 'exec'");
  install(inside, 'onnxruntime-node', '1.30.0');
  expect(
    (await doctor(inside)).find(({ what }) => what.endsWith('onnxruntime-node'))!.detail,
  ).toContain("recordLocks: 'lose'");
  install(inside, 'esbuild', '0.28.2');
  expect((await doctor(inside))[0]!.detail).toContain('runs a child process');
  // The nearer one is the one that would be loaded.
  install(inside, 'uuid', '14.0.0');
  expect((await doctor(inside)).map(({ what }) => what)).toEqual([
    'package: esbuild',
    'package: nanoid',
    'package: onnxruntime-node',
    'package: zeromq',
  ]);
  expect((await doctor(place.folder)).map(({ what }) => what)).toEqual(['package: uuid']);
});
