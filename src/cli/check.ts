// doublefork check [file]: reads a config file, and looks whether its programs could be started.

import type { Command } from 'commander';
import { configSchema } from '../config/schema.js';
import type { App } from '../control/app.js';
import { prepare } from '../control/prepare.js';
import { sentenceOf } from '../posix/errors.js';
import { EXIT } from './exit.js';
import { complain, print, printJson } from './output.js';
import { configHere } from './targets.js';

export function declare(command: Command): void {
  command
    .argument('[file]', 'the config file; default: doublefork.config.* here')
    .option('--schema', 'print the JSON schema of config files instead')
    .option('--json', 'in JSON')
    .action(check);
}

interface Options {
  schema?: boolean;
  json?: boolean;
}

async function check(file: string | undefined, options: Options): Promise<void> {
  if (options.schema) return printJson(configSchema());
  const config = await configHere(file);
  if (config === undefined) throw new Error('there is no config file here; name one');
  const findings = config.apps.map((app) => ({
    name: app.name,
    problem: problemOf(app, config.file),
  }));
  const problems = findings.filter(({ problem }) => problem !== null);
  if (problems.length > 0) process.exitCode = EXIT.failed;
  if (options.json) return printJson({ file: config.file, apps: findings });
  for (const { name, problem } of problems) complain(`${name}: ${problem}`);
  const names = findings.map(({ name }) => name).join(', ');
  if (problems.length === 0) print(`${config.file} is right; it has ${names || 'no apps'}`);
}

/** Why it could not be started here and now, as a start would find it; null: nothing is known against it. */
function problemOf(app: App, config: string): string | null {
  try {
    prepare(app, { config });
    return null;
  } catch (error) {
    return sentenceOf(error);
  }
}
