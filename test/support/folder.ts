// Folders that are gone after the test.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A new empty folder, open to all users, removed when the test has finished. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'doublefork-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
