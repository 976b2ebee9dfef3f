// Tests that change users need root. Others run such programs as a user without rights.

import { readFileSync } from 'node:fs';
import { test } from 'vitest';

export const isRoot = process.getuid?.() === 0;

/** A test that is skipped, visibly, unless root runs it. */
export const testAsRoot = test.skipIf(!isRoot);

/** Root of a container may lack this one: CAP_SYS_RESOURCE. */
const capabilities = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
export const testRaisingLimits = test.skipIf((BigInt(`0x${capabilities}`) & (1n << 24n)) === 0n);

/** The command line that runs another as a user who has no rights, and no name. */
export const unprivileged = isRoot
  ? ['setpriv', '--reuid=65533', '--regid=65533', '--clear-groups', '--inh-caps=-all']
  : ['env'];
