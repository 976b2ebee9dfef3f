// doublefork import <file>: writes a config file of ours, and says what it could not translate.

import { pathToFileURL } from 'node:url';
import { type Command, Option } from 'commander';
import { readFileSync, writeFileSync } from '../builtin/fs.js';
import { basename, resolve } from '../builtin/path.js';
import { checkApps } from '../config/file.js';
import { fromEcosystem, fromProcfile, type Imported } from '../config/import.js';
import { whileTrying } from '../posix/errors.js';
import { complain, print, printJson } from './output.js';

export function declare(command: Command): void {
  command
    .argument('<file>', 'an ecosystem.config.js of pm2, or a Procfile')
    .addOption(new Option('--output <file>', 'write it there').default('doublefork.config.json'))
    .option('--json', 'print it, and what could not be translated, and write nothing')
    .action(run);
}

async function run(file: string, options: { output: string; json?: boolean }): Promise<void> {
  const imported = await read(resolve(file));
  const { apps, left } = imported;
  // What was made of it must be right by our own rules.
  checkApps({ apps }, process.cwd(), []);
  if (options.json) return printJson({ apps, left });
  try {
    writeFileSync(options.output, `${JSON.stringify({ apps }, null, 2)}\n`, { flag: 'wx' });
  } catch (error) {
    throw whileTrying(`cannot write ${options.output}`, error);
  }
  print(`${options.output} has ${Object.keys(apps).join(', ')}`);
  for (const sentence of left) complain(sentence);
  if (left.length > 0) print('what stands above was not translated');
}

async function read(path: string): Promise<Imported> {
  if (/^Procfile/.test(basename(path))) return fromProcfile(text(path));
  if (path.endsWith('.json')) return fromEcosystem(JSON.parse(text(path)));
  text(path);
  const module = await import(pathToFileURL(path).href);
  return fromEcosystem(module.default ?? module);
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw whileTrying(`cannot read ${path}`, error);
  }
}
