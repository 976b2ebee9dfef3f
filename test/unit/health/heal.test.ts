// When health({ heal }) restarts and gives up, and whom the status page answers: pure functions.

import { describe, expect, test } from 'vitest';
import { HEALTHY, treat } from '../../../src/health/heal.js';
import { refusalOf } from '../../../src/health/origin.js';

const treatment = { cooldown: 30, retries: 2 };

/** The verdicts on what is seen at each time. */
function verdicts(seen: [at: number, isWell: boolean][]) {
  let patient = HEALTHY;
  return seen.map(([at, isWell]) => {
    const [next, verdict] = treat(patient, isWell, at, treatment);
    patient = next;
    return verdict;
  });
}

describe('what fails its check', () => {
  test('is restarted, left in peace, restarted, and given up', () => {
    const seen: [number, boolean][] = [0, 10, 29, 30, 45, 60, 61].map((at) => [at, false]);
    expect(verdicts(seen)).toEqual([
      'restart',
      'none',
      'none',
      'restart',
      'none',
      'give up',
      'give up',
    ]);
  });

  test('is healed once it is well for a cooldown, not by a moment between two failures', () => {
    expect(
      verdicts([
        [0, false],
        [29, true],
        [30, false],
        [59, true],
        [60, false],
      ]),
    ).toEqual(['restart', 'none', 'restart', 'none', 'give up']);
    expect(
      verdicts([
        [0, false],
        [10, true],
        [30, false],
        [35, true],
        [65, true],
        [70, false],
      ]),
    ).toEqual(['restart', 'none', 'restart', 'none', 'none', 'restart']);
  });

  test('what is well is left alone', () => {
    expect(
      verdicts([
        [0, true],
        [1000, true],
      ]),
    ).toEqual(['none', 'none']);
  });
});

describe('a request for the status page', () => {
  const refused = (headers: Record<string, string>, method = 'GET') =>
    refusalOf({ headers: { host: '127.0.0.1:9100', ...headers }, method }, [
      'ops.example.com',
    ])?.[0];

  test.each([
    [{ host: '127.0.0.1:9100' }],
    [{ host: '[::1]:9100' }],
    [{ host: 'localhost' }],
    [{ host: 'app.localhost:80' }],
    [{ host: '10.1.2.3:9100' }],
    [{ host: 'ops.example.com' }],
    [{ 'sec-fetch-site': 'same-origin' }],
    [{ 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
    [{ origin: 'http://127.0.0.1:9100' }],
  ])('is answered: %o', (headers) => {
    expect(refused(headers)).toBeUndefined();
  });

  test.each([
    // A name of somebody's that was made to lead here.
    [{ host: 'evil.example' }],
    [{ host: 'ops.example.com.evil.example' }],
    [{ host: 'localhost.evil.example' }],
    [{ host: '' }],
    [{ host: 'a b' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ origin: 'https://evil.example' }],
    [{ origin: 'null' }],
    // Another port is another origin.
    [{ origin: 'http://127.0.0.1:9101' }],
  ])('is refused: %o', (headers) => {
    expect(refused(headers)).toBe(403);
  });

  test('a link from elsewhere may lead to the page, but cause nothing', () => {
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect(refused(link, 'POST')).toBe(403);
    expect(refused({ 'sec-fetch-site': 'same-origin' }, 'POST')).toBeUndefined();
  });
});
