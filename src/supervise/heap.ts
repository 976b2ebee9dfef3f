// The heap of a supervisor, which holds the program but runs nothing of it any more.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * V8 doubles its young generation as objects survive, up to 48 MB. A supervisor makes so little garbage
 * that it has no use for that, but lives so long that it would get there. 2 is V8's default.
 */
const YOUNG_GROWTH = '--semi-space-growth-factor';

export function keepYoungGenerationSmall(): void {
  setFlagsFromString(`${YOUNG_GROWTH}=1`);
}

export function letYoungGenerationGrow(): void {
  setFlagsFromString(`${YOUNG_GROWTH}=2`);
}

/** V8's own, which it shows to contexts made after the flag was set. */
export function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
