// Where the state of daemons is.

import { expect, test } from 'vitest';
import { logFolder, stateFolder } from '../../src/control/folders.js';

test('one place for a user, whatever the variables of the session', () => {
  const home = '/home/ada';
  const sessions: Record<string, string>[] = [
    { HOME: home, XDG_RUNTIME_DIR: '/run/user/1000', XDG_STATE_HOME: '/home/ada/state' },
    { HOME: home },
    {},
    { HOME: '/root' },
  ];
  for (const env of sessions) {
    expect(stateFolder({ uid: 1000, env, home })).toBe('/home/ada/.local/state/doublefork');
  }
});

test('a user without a home has HOME, or else a folder among the temporary ones', () => {
  const owner = { uid: 1000, home: undefined };
  expect(stateFolder({ ...owner, env: { HOME: '/srv/app' } })).toBe(
    '/srv/app/.local/state/doublefork',
  );
  expect(stateFolder({ ...owner, env: {} })).toMatch(/\/doublefork-1000$/);
});

test('root, and a service manager’s', () => {
  expect(stateFolder({ uid: 0, env: { XDG_RUNTIME_DIR: '/x' }, home: '/root' })).toMatch(
    /run\/doublefork$/,
  );
  const env = { RUNTIME_DIRECTORY: '/run/web:/run/other', LOGS_DIRECTORY: '/var/log/web' };
  expect(stateFolder({ uid: 1000, env, home: '/x' })).toBe('/run/web');
  expect(logFolder({ uid: 1000, env, home: '/x' })).toBe('/var/log/web');
});
