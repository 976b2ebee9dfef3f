// How a daemon that is known is started again.

import { existsSync } from '../builtin/fs.js';
import { readConfig } from '../config/file.js';
import type { App } from '../control/app.js';
import type { Origin } from '../control/prepare.js';
import type { DaemonRecord } from '../control/record.js';

/**
 * As the config file that it comes from says now, wherever the command is given; what the command line
 * started is started as it was.
 * @throws if the file, or its app in there, is gone
 */
export async function asBefore(
  name: string,
  { app, config }: Pick<DaemonRecord, 'app' | 'config'>,
  environment: Pick<Origin, 'environment'>,
): Promise<{ app: App; origin: Origin }> {
  if (config === undefined) return { app, origin: environment };
  if (!existsSync(config)) {
    throw new Error(`${name} comes from ${config}, which is gone; give another file by --config`);
  }
  return await asConfigured(name, config, environment);
}

/** @throws if the file has no such app */
export async function asConfigured(
  name: string,
  config: string,
  environment: Pick<Origin, 'environment'>,
): Promise<{ app: App; origin: Origin }> {
  const app = (await readConfig('/', config))?.apps.find((each) => each.name === name);
  if (app !== undefined) return { app, origin: { ...environment, config } };
  throw new Error(
    `${name} comes from ${config}, which has no app of that name any more; give another file by --config`,
  );
}
