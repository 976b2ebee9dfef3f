// In which order apps are started that depend on each other.

import type { App } from '../control/app.js';

/** Of some apps each behind those that it depends on, as far as they are among them. */
export function inOrder(apps: readonly App[]): readonly App[] {
  const names = new Set(apps.map(({ name }) => name));
  const reduced = new Map<App, App>(
    apps.map((app) => [
      { ...app, dependsOn: (app.dependsOn ?? []).filter((name) => names.has(name)) },
      app,
    ]),
  );
  const order = startOrder([...reduced.keys()], [...reduced.keys()]);
  // A circle was refused when its file was read; apps of several files may form one.
  return Array.isArray(order) ? order.map((app) => reduced.get(app)!) : apps;
}

/** What an app cannot wait for, and whose key says so. */
export interface Tangle {
  name: string;
  message: string;
}

/**
 * The apps, and behind them in front what each of them depends on.
 * @param wanted some of `apps`
 * @returns each app once, none before what it depends on; or why there is no such order
 */
export function startOrder(wanted: readonly App[], apps: readonly App[]): App[] | Tangle {
  const order: App[] = [];
  const visit = (app: App, above: readonly string[]): Tangle | undefined => {
    if (order.includes(app)) return undefined;
    if (above.includes(app.name)) {
      const circle = [...above.slice(above.indexOf(app.name)), app.name].join(' → ');
      return { name: app.name, message: `is a circle: ${circle}; none of them can be the first` };
    }
    for (const name of app.dependsOn ?? []) {
      const other = apps.find((each) => each.name === name);
      if (other === undefined) {
        const names = apps.map((each) => each.name).join(', ');
        return { name: app.name, message: `has no app "${name}" to depend on; there are ${names}` };
      }
      const tangle = visit(other, [...above, app.name]);
      if (tangle !== undefined) return tangle;
    }
    order.push(app);
    return undefined;
  };
  for (const app of wanted) {
    const tangle = visit(app, []);
    if (tangle !== undefined) return tangle;
  }
  return order;
}
