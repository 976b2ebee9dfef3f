// Tests that change users need root. Others run such programs as a user without rights.

import { test } from 'vitest';

export const isRoot = process.getuid?.() === 0;

/** A test that is skipped, visibly, unless root runs it. */
export const testAsRoot = test.skipIf(!isRoot);

/** The command line that runs another as a user who has no rights, and no name. */
export const unprivileged = isRoot
  ? ['setpriv', '--reuid=65533', '--regid=65533', '--clear-groups', '--inh-caps=-all']
  : ['env'];
