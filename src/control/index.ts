// The face of what looks after other daemons: what is behind it is loaded when it is called, for most programs
// only become one.

import { requirePart } from '../posix/parts.js';

type Control = typeof import('./control.js');

const load = () => requirePart<Control>('control.js');

/** See {@link import('./stop.js').stopDaemon}. */
export const stopDaemon: Control['stopDaemon'] = (...args) => load().stopDaemon(...args);

/** See {@link import('./stop.js').restartDaemon}. */
export const restartDaemon: Control['restartDaemon'] = (...args) => load().restartDaemon(...args);

/** See {@link import('./signal.js').signalDaemon}. */
export const signalDaemon: Control['signalDaemon'] = (...args) => load().signalDaemon(...args);

/** See {@link import('./target.js').daemonStatus}. */
export const daemonStatus: Control['daemonStatus'] = (...args) => load().daemonStatus(...args);

/** See {@link import('./target.js').findDaemon}. */
export const findDaemon: Control['findDaemon'] = (...args) => load().findDaemon(...args);
