// Commands and the signals that stand for them.

import { expect, test } from 'vitest';
import { allCommands } from '../../src/detach/commands.js';

test('a command cannot have a signal that another one has', () => {
  const refuse = (own: Record<string, NodeJS.Signals>) => () =>
    allCommands(own, 'options.commands');
  expect(refuse({ rotate: 'SIGUSR2' })).toThrow(
    'The value of "options.commands.rotate" is out of range. It must be a signal that no other ' +
      'command has: "reopen" has this one. Received SIGUSR2',
  );
  expect(refuse({ flush: 'SIGURG', dump: 'SIGURG' })).toThrow('"dump" has this one');
  expect(refuse({ reload: 'SIGTERM' })).toThrow('"stop" has this one');
});

test('a signal that the program has taken from a usual command is free for another one', () => {
  expect(allCommands({ reopen: 'SIGURG', rotate: 'SIGUSR2' }, 'options.commands')).toEqual({
    stop: 'SIGTERM',
    reload: 'SIGHUP',
    reopen: 'SIGURG',
    rotate: 'SIGUSR2',
  });
});
