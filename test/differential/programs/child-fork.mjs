// child_process: fork with an IPC channel; messages both ways, advanced serialization, disconnect.
import { fork } from 'node:child_process';
import { once } from 'node:events';

await globalThis.midpoint?.();
const child = fork(new URL('./support/echo-child.mjs', import.meta.url), ['argument'], {
  execArgv: [],
  serialization: 'advanced',
});
const [hello] = await once(child, 'message');
console.log(hello);
child.send({ map: new Map([[1, new Set(['a'])]]), big: 2n ** 70n });
const [echo] = await once(child, 'message');
console.log(echo);
const exit = once(child, 'exit');
child.disconnect();
console.log(...(await exit), child.connected);
