// Names in options that nobody knows: a slip of the pen that would otherwise be a wish passed over.

import { invalidType } from './errors.js';

/**
 * Refuses names that are not among the known ones.
 * @param name of the options, in the error: 'options.log'
 * @throws ERR_INVALID_ARG_TYPE if it is no object; ERR_INVALID_ARG_VALUE, with the known name that is
 * meant, or with all of them
 */
export function refuseUnknown(options: unknown, known: readonly string[], name: string): void {
  if (typeof options !== 'object' || options === null) {
    throw invalidType(name, 'of type object', options);
  }
  const stray = Object.keys(options).find((key) => !known.includes(key));
  if (stray === undefined) return;
  const meant = nearest(stray, known);
  const hint = meant === undefined ? `Known are: ${known.join(', ')}` : `Did you mean "${meant}"?`;
  throw Object.assign(new TypeError(`Unknown option "${stray}" in ${name}. ${hint}`), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
}

/** The known name that a stranger is most like; undefined: it is like none of them. */
export function nearest(stray: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((name) => ({ name, distance: distance(stray.toLowerCase(), name.toLowerCase()) }))
    // A third of it may be wrong: two letters of six.
    .filter(({ name, distance }) => distance <= Math.max(name.length, stray.length) / 3)
    .sort((a, b) => a.distance - b.distance);
  return best?.name;
}

/** Letters to put in, take out or change, or neighbours to swap. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(changed, last[j]! + 1, row[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
