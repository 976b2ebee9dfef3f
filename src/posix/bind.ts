// Methods that may be taken off their object.

/**
 * For constructors: `const { ready } = daemon` and `server.listen(0, daemon.ready)` work from then on.
 * @param prototype whose methods; a class that others extend names its own
 */
export function bindMethods(object: object, prototype = Object.getPrototypeOf(object)): void {
  const methods = Object.getOwnPropertyDescriptors(prototype);
  for (const name of Reflect.ownKeys(methods)) {
    const { value, get } = methods[name as string]!;
    if (get !== undefined || typeof value !== 'function' || name === 'constructor') continue;
    // As methods are: not shown, and not copied with what is enumerable.
    Object.defineProperty(object, name, {
      value: value.bind(object),
      writable: true,
      configurable: true,
    });
  }
}
