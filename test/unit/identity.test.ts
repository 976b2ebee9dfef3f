// A process id that was given to another process since is not taken for the daemon.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ProcessHandle } from '../../src/control/handle.js';
import { readRecord } from '../../src/control/record.js';
import { startTime } from '../../src/pidfile/process.js';
import { temporaryFolder } from '../support/folder.js';

const { pid } = process;
const started = startTime(pid)!;

test('a handle is for the process that was meant, not for another one with its number', () => {
  using handle = ProcessHandle.open({ pid, startTime: started });
  expect(handle?.pid).toBe(pid);
  expect(ProcessHandle.open({ pid, startTime: started + 1 })).toBeUndefined();
});

test('a record is true only of the process that wrote it, in the same boot', () => {
  const directory = temporaryFolder();
  const before = process.env.RUNTIME_DIRECTORY;
  process.env.RUNTIME_DIRECTORY = directory;
  onTestFinished(() => {
    if (before === undefined) delete process.env.RUNTIME_DIRECTORY;
    else process.env.RUNTIME_DIRECTORY = before;
  });
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  const isRunning = (changes: object) => {
    const fields = { name: 'it', pid, startTime: started, boot, ...changes };
    writeFileSync(join(directory, 'it.json'), JSON.stringify(fields));
    return readRecord('it')?.isRunning;
  };
  expect(isRunning({})).toBe(true);
  expect(isRunning({ startTime: started + 1 })).toBe(false);
  expect(isRunning({ boot: '00000000-0000-0000-0000-000000000000' })).toBe(false);
});
