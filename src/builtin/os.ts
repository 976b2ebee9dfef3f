// node:os, loaded when it is used: see fs.ts. A program that starts well needs nothing of it.

const load = () => process.getBuiltinModule('node:os');

export const constants = {
  get errno() {
    return load().constants.errno;
  },
  get signals() {
    return load().constants.signals;
  },
};
export const hostname = () => load().hostname();
export const release = () => load().release();
export const tmpdir = () => load().tmpdir();
export const uptime = () => load().uptime();
export const userInfo = () => load().userInfo();
