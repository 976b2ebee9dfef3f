// Where /proc does not show every process: the starter of the command may be out of sight.

import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { expect, test } from 'vitest';
import { node } from '../../support/node.js';
import { execute } from '../../support/program.js';
import { isRoot } from '../../support/root.js';
import { COMMAND, Place } from './command.js';

const NAMESPACE = ['--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL'];
const mayUnshare = isRoot && spawnSync('unshare', [...NAMESPACE, 'true']).status === 0;
const testNamespaces = test.skipIf(!mayUnshare);

/** start, status, restart, stop; each must succeed. */
const LIFE = `set -e
  for words in "start --name it -- sleep 100" "status it" "restart it" "stop it"; do "$@" $words; done`;

/** Runs a shell script, with the command as its arguments, where it may change what is mounted. */
async function inNamespace(place: Place, script: string) {
  const { code, stdout, stderr } = await execute(
    'unshare',
    [...NAMESPACE, 'sh', '-c', script, 'sh', node, COMMAND],
    { cwd: place.folder, env: { ...place.env, LIFE } },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/it runs with pid \d+\n.*it +running.*it has stopped .*it has stopped/s);
}

testNamespaces('the starter is outside of the pid namespace, as with docker exec', async () => {
  // nsenter(1) stays outside, and is the parent of what it starts in there.
  const script = `unshare ${NAMESPACE.join(' ')} sleep 100 & holder=$!
    while inside=$(cat /proc/$holder/task/$holder/children); [ -z "$inside" ]; do sleep 0.02; done
    sh -c "$LIFE" sh nsenter --target $inside --pid --mount "$@"; code=$?
    kill -9 $inside; exit $code`;
  await inNamespace(new Place(), script);
});

testNamespaces('the starter is another user’s, and hidden', async () => {
  const place = new Place();
  chmodSync(place.folder, 0o777);
  const script = `mount -o remount,hidepid=2 /proc
    setpriv --reuid=65533 --regid=65533 --clear-groups --inh-caps=-all "$@" start --name other -- sleep 99 &&
    setpriv --reuid=65533 --regid=65533 --clear-groups --inh-caps=-all sh -c "$LIFE" sh "$@"`;
  await inNamespace(place, script);
});
