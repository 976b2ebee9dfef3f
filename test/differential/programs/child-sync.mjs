// child_process: the synchronous calls, with input, status, signal, timeout and a failure.
import { execFileSync, execSync, spawnSync } from 'node:child_process';

await globalThis.midpoint?.();
const sorted = spawnSync('sort', ['-r'], { input: 'b\nc\na\n', encoding: 'utf8' });
console.log(sorted.status, sorted.signal, JSON.stringify(sorted.stdout));
const killed = spawnSync('sh', ['-c', 'kill -TERM $$']);
console.log(killed.status, killed.signal);
const late = spawnSync('sleep', ['30'], { timeout: 20 });
console.log(late.error.code, late.signal);
console.log(spawnSync('/no/such/program').error.code);
console.log(execFileSync(process.execPath, ['-p', '6 * 7'], { encoding: 'utf8' }).trim());
try {
  execSync('exit 9', { stdio: 'ignore' });
} catch (error) {
  console.log(error.status, error.message);
}
