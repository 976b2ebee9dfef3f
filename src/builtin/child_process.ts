// node:child_process, loaded when it is used: that takes as long as all else that the command does
// before it starts a daemon. The bundle has commander get this one, too.

type ChildProcess = typeof import('node:child_process');

const load = (): ChildProcess => process.getBuiltinModule('node:child_process');

export const spawn = ((...args: Parameters<ChildProcess['spawn']>) =>
  load().spawn(...args)) as ChildProcess['spawn'];
export const spawnSync = ((...args: Parameters<ChildProcess['spawnSync']>) =>
  load().spawnSync(...args)) as ChildProcess['spawnSync'];
