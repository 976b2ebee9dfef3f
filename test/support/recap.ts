// The failures once more, short, at the very end of a run: whoever has only the last lines of a log must
// still read what failed. With DOUBLEFORK_RECAP also appended to that file, for tools/matrix.mjs.

import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

const LINES = 4;
const WIDTH = 300;

function shorten(message: string): string {
  return message
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(0, LINES)
    .map((line) => `    ${line.slice(0, WIDTH)}`)
    .join('\n');
}

type Failures = readonly { name: string; errors: readonly { message: string }[] }[];

function failuresOf(module: TestModule): Failures {
  const suites = [...module.children.allSuites()];
  const tests = [...module.children.allTests('failed')];
  return [
    { name: '', errors: module.errors() },
    ...suites.map((suite) => ({ name: suite.fullName, errors: suite.errors() })),
    ...tests.map((test) => ({ name: test.fullName, errors: test.result().errors ?? [] })),
  ].filter(({ errors }) => errors.length > 0);
}

export default class Recap implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const lines: string[] = [];
    for (const module of modules) {
      const file = `[${module.project.name}] ${relative(process.cwd(), module.moduleId)}`;
      for (const { name, errors } of failuresOf(module)) {
        lines.push(`  ${name === '' ? file : `${file} > ${name}`}`);
        lines.push(...errors.map(({ message }) => shorten(message)));
      }
    }
    for (const { message } of unhandled) lines.push('  outside of every test', shorten(message));
    if (lines.length === 0) return;
    const text = `${lines.join('\n')}\n`;
    process.stderr.write(`\nWhat failed:\n${text}`);
    const path = process.env.DOUBLEFORK_RECAP;
    if (path !== undefined) appendFileSync(path, text);
  }
}
