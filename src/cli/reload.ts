// doublefork reload [names...]: SIGHUP, unless the app has another signal for it.

import type { Command } from 'commander';
import { tell } from './signal.js';
import { declareTargets, type TargetOptions } from './targets.js';

export function declare(command: Command): void {
  declareTargets(command)
    .option('--json', 'say in JSON what was sent')
    .action((names: string[], options: TargetOptions) => tell('reload', names, options));
}
