import { describe, expect, test } from 'vitest';
import { parseSchedule, walk } from '../../src/control/schedule.js';

describe('a schedule, as start-stop-daemon writes it', () => {
  test.each([
    [
      'TERM/5/KILL/2',
      [{ signal: 'SIGTERM' }, { wait: 5000 }, { signal: 'SIGKILL' }, { wait: 2000 }],
    ],
    ['5', [{ signal: 'SIGTERM' }, { wait: 5000 }, { signal: 'SIGKILL' }, { wait: 5000 }]],
    ['sigint/0.25', [{ signal: 'SIGINT' }, { wait: 250 }]],
    ['-15/1/-KILL', [{ signal: 15 }, { wait: 1000 }, { signal: 'SIGKILL' }]],
    [
      'QUIT/1/forever/TERM/1',
      [
        { signal: 'SIGQUIT' },
        { wait: 1000 },
        { forever: true },
        { signal: 'SIGTERM' },
        { wait: 1000 },
      ],
    ],
  ])('%s', (text, steps) => {
    expect(parseSchedule(text)).toEqual(steps);
  });

  test.each([
    ['', '"" is neither'],
    ['TERM//KILL', '"" is neither'],
    ['TERM/five', '"five" is neither'],
    ['TERMS', '"TERMS" is neither'],
    ['5/5', 'sends no signal'],
    ['TERM/1/forever/KILL', 'never waits'],
    ['TERM/9999999999', 'too long'],
    ['-99/1', '"-99" is neither'],
  ])('%j is refused', (text, why) => {
    expect(() => parseSchedule(text)).toThrow(why);
  });

  test('what follows "forever" is repeated', () => {
    const steps = walk(parseSchedule('QUIT/1/forever/TERM/2'));
    const first = Array.from({ length: 6 }, () => steps.next().value);
    expect(first).toEqual([
      { signal: 'SIGQUIT' },
      { wait: 1000 },
      { signal: 'SIGTERM' },
      { wait: 2000 },
      { signal: 'SIGTERM' },
      { wait: 2000 },
    ]);
  });
});
