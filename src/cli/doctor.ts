// doublefork doctor: what works here, and why not.

import type { Command } from 'commander';
import colors from 'picocolors';
import { sentenceOf } from '../posix/errors.js';
import { type Finding, system } from './finding.js';
import { print, printJson, table } from './output.js';

export function declare(command: Command): void {
  command.option('--json', 'in JSON').action(async (options: { json?: boolean }) => {
    const findings = await examine();
    if (options.json) printJson(findings);
    else report(findings);
    process.exitCode = findings.some(({ verdict }) => verdict === 'failed') ? 1 : 0;
  });
}

async function examine(): Promise<Finding[]> {
  try {
    const examination = await import('./examine.js');
    return examination.examine();
  } catch (error) {
    // It is for this, too, that doctor is called: that the addon is missing or does not load.
    return [{ what: 'addon', verdict: 'failed', detail: sentenceOf(error) }, ...system()];
  }
}

const SIGNS = {
  ok: colors.green('ok'),
  warning: colors.yellow('!'),
  failed: colors.red('no'),
  fact: ' ',
};

function report(findings: readonly Finding[]): void {
  print(table(findings.map(({ what, verdict, detail }) => [SIGNS[verdict], what, detail])));
}
