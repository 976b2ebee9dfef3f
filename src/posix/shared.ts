// What belongs to the process, not to a copy of this code in it. There may be several: the package's
// parts are bundled apart, and a program may have it twice among its dependencies.

const registry = globalThis as unknown as Record<symbol, unknown>;

/** The one value of that name in this process; the first who asks makes it. */
export function shared<T>(name: string, make: () => T): T {
  const key = Symbol.for(`doublefork.${name}`);
  registry[key] ??= make();
  return registry[key] as T;
}
