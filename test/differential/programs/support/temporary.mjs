// A temporary directory that is gone when the program has exited.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'differential-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
