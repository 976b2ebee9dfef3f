// What index.ts loads.

export { signalDaemon } from './signal.js';
export { restartDaemon, stopDaemon } from './stop.js';
export { daemonStatus, findDaemon } from './target.js';
