// The recipes of docs/managers.md, read from there: what a test runs is what is written.
//
// A recipe is a section of third order. A path on a line of its own and a block behind it is a file; a block
// of sh is commands, each with the step it is for behind a `#`.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../node.js';

export interface RecipeFile {
  path: string;
  text: string;
  executable: boolean;
}

export interface Recipe {
  files: readonly RecipeFile[];
  /** The command lines of each step, in order. */
  steps: Readonly<Record<string, readonly string[]>>;
}

const PAGE = join(root, 'docs/managers.md');

/** @throws Error if there is none */
export function recipe(title: string): Recipe {
  const sections = readFileSync(PAGE, 'utf8').split(/^(?=##+ )/m);
  const section = sections.find((text) => text.startsWith(`### ${title}\n`));
  if (section === undefined) throw new Error(`docs/managers.md has no section ### ${title}`);
  const files = [
    ...section.matchAll(/^`([/~][^`]+)`( \(executable\))?:\n\n```\w*\n(.*?)^```$/gms),
  ].map(([, path, executable, text]) => ({
    path: path!,
    text: text!,
    executable: executable !== undefined,
  }));
  const steps: Record<string, string[]> = {};
  // Those that are files have been seen.
  const rest = section.replaceAll(/^`[/~].*?\n```\w*\n.*?^```$/gms, '');
  for (const [, commands] of rest.matchAll(/^```sh\n(.*?)^```$/gms)) {
    for (const [, command, step] of commands!.matchAll(/^(.+?) +# ([\w ]+)/gm)) {
      steps[step!.trim()] ??= [];
      steps[step!.trim()]!.push(command!);
    }
  }
  return { files, steps };
}
