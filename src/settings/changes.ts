// Values of a configuration: what of them can be handed to another process, and what has changed.

/** A value that is another one than before; undefined: there is, or was, none. */
export interface Change {
  /** The keys that lead to it. */
  path: readonly string[];
  before: unknown;
  after: unknown;
}

/** What is nested deeper is no configuration. */
const DEEPEST = 64;

type Values = Readonly<Record<string, unknown>>;

/** Whether it is a set of names with values, and nothing else. */
export function isPlain(value: unknown): value is Values {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Freezes it, in all of its depth.
 * @returns the keys to what cannot be handed to another process as it is; undefined: all can
 */
export function freeze(
  value: unknown,
  path: readonly string[] = [],
): readonly string[] | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return path;
  if (typeof value !== 'object' || value === null) return undefined;
  if (value instanceof Date) return undefined;
  if (path.length > DEEPEST || (!Array.isArray(value) && !isPlain(value))) return path;
  Object.freeze(value);
  for (const [key, item] of Object.entries(value)) {
    const wrong = freeze(item, [...path, key]);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** What has changed, each value by itself; a list with another length as a whole. */
export function changesBetween(
  before: unknown,
  after: unknown,
  path: readonly string[] = [],
): Change[] {
  if (Object.is(before, after)) return [];
  if (before instanceof Date && after instanceof Date && +before === +after) return [];
  const isList = Array.isArray(before) && Array.isArray(after) && before.length === after.length;
  if (!isList && !(isPlain(before) && isPlain(after))) return [{ path, before, after }];
  const [was, is] = [before, after] as [Values, Values];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((key) =>
    changesBetween(own(was, key), own(is, key), [...path, key]),
  );
}

/** Not what every object has. */
function own(values: Values, key: string): unknown {
  return Object.hasOwn(values, key) ? values[key] : undefined;
}

/** `over` on top of `under`: sets are merged, everything else is replaced. */
export function merge(under: unknown, over: unknown): unknown {
  if (!isPlain(under) || !isPlain(over)) return over;
  const keys = new Set([...Object.keys(under), ...Object.keys(over)]);
  return Object.fromEntries(
    [...keys].map((key) => [
      key,
      Object.hasOwn(over, key) ? merge(own(under, key), over[key]) : under[key],
    ]),
  );
}

/** The value that keys lead to; undefined: there is none. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Values)[key];
  }
  return at;
}

/** A copy with another value there. */
export function withValue(
  value: unknown,
  [key, ...rest]: readonly string[],
  item: unknown,
): unknown {
  if (key === undefined) return item;
  const values = isPlain(value) ? value : {};
  return Object.fromEntries([
    ...Object.entries(values).filter(([name]) => name !== key),
    [key, withValue(own(values, key), rest, item)],
  ]);
}
