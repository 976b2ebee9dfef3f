// os: facts that do not change while the machine runs.
import os from 'node:os';

const host = os.hostname();
const total = os.totalmem();
const { username } = os.userInfo();
await globalThis.midpoint?.();
console.log(JSON.stringify(os.EOL), os.devNull, os.type(), os.platform(), os.arch(), os.endianness());
console.log(host === os.hostname(), total === os.totalmem(), username === os.userInfo().username);
console.log(os.uptime() > 0, os.loadavg().length, os.cpus().length > 0, os.freemem() > 0);
console.log('lo' in os.networkInterfaces(), os.homedir() === (process.env.HOME ?? os.homedir()));
console.log(typeof os.release(), typeof os.version(), os.availableParallelism() > 0);
os.setPriority(os.getPriority());
console.log(typeof os.getPriority());
