// doublefork check [file]: reads a config file, and looks whether its programs could be started.

import type { Command } from 'commander';
import { statSync } from '../builtin/fs.js';
import { readConfig } from '../config/file.js';
import { configSchema } from '../config/schema.js';
import type { App } from '../control/app.js';
import { findIdentity } from '../control/identity.js';
import { findProgram } from '../control/program.js';
import { sentenceOf } from '../posix/errors.js';
import { EXIT } from './exit.js';
import { complain, print, printJson } from './output.js';

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
  const config = await readConfig(process.cwd(), file);
  if (config === undefined) throw new Error('there is no config file here; name one');
  const findings = config.apps.map((app) => ({ name: app.name, problem: problemOf(app) }));
  const problems = findings.filter(({ problem }) => problem !== null);
  if (problems.length > 0) process.exitCode = EXIT.failed;
  if (options.json) return printJson({ file: config.file, apps: findings });
  for (const { name, problem } of problems) complain(`${name}: ${problem}`);
  const names = findings.map(({ name }) => name).join(', ');
  if (problems.length === 0) print(`${config.file} is right; it has ${names || 'no apps'}`);
}

/** Why it could not be started here and now; null: nothing is known against it. */
function problemOf(app: App): string | null {
  try {
    if (!statSync(app.cwd).isDirectory()) return `${app.cwd}, where it is to run, is no directory`;
    findProgram(app.program, app.args, app.cwd, app.env.PATH);
    findIdentity(app.user, app.group);
    if (app.envFile !== undefined) statSync(app.envFile);
    return null;
  } catch (error) {
    return sentenceOf(error);
  }
}
