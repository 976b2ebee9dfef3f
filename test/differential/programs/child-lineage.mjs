// child_process: a child sees this process as its parent; process.pid is the kernel's.
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

await globalThis.midpoint?.();
const { stdout } = spawnSync('sh', ['-c', 'echo $PPID'], { encoding: 'utf8' });
console.log('parent of the child:', Number(stdout) === process.pid);
console.log('/proc/self:', Number(readlinkSync('/proc/self')) === process.pid);
const status = readFileSync('/proc/self/status', 'utf8');
console.log('thread group:', Number(/^Tgid:\s+(\d+)/m.exec(status)[1]) === process.pid);
console.log('parent:', Number(/^PPid:\s+(\d+)/m.exec(status)[1]) === process.ppid);
console.log('exists:', process.kill(process.pid, 0));
