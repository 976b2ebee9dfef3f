// process: environment, working directory, umask and title changed before the midpoint hold after it.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = realpathSync(temporaryDirectory());
const home = process.cwd();
process.env.DIFFERENTIAL = 'set before';
process.env.DIFFERENTIAL_GONE = 'x';
delete process.env.DIFFERENTIAL_GONE;
process.chdir(directory);
process.umask(0o031);
process.title = 'differential-title';
await globalThis.midpoint?.();
const { stdout } = spawnSync('sh', ['-c', 'echo $DIFFERENTIAL,$DIFFERENTIAL_GONE; pwd; umask'], { encoding: 'utf8' });
const [variables, cwd, umask] = stdout.split('\n');
console.log(variables, cwd === directory, umask, process.umask().toString(8), process.title);
console.log(process.cwd() === directory, 'DIFFERENTIAL_GONE' in process.env);
process.chdir(home);
try {
  process.chdir('/no/such/directory');
} catch (error) {
  console.log(error.code, error.syscall, error.dest);
}
