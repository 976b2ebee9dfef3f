// child_process: exec and execFile, their output, exit code and error.
import { exec, execFile } from 'node:child_process';
import { promisify } from 'node:util';

await globalThis.midpoint?.();
const { stdout, stderr } = await promisify(exec)('echo out; echo err >&2');
console.log(JSON.stringify({ stdout, stderr }));
const failure = await promisify(exec)('echo partial; exit 3').catch((error) => error);
console.log(failure.code, failure.killed, failure.signal, JSON.stringify(failure.stdout));
const words = await promisify(execFile)('printf', ['%s-', 'a b', '$HOME', '*']);
console.log(words.stdout);
const missing = await promisify(execFile)('/no/such/program').catch((error) => error);
console.log(missing.code, missing.syscall, missing.path);
