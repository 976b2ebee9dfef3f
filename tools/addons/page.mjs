// docs/addons.md, made of the results that run.mjs keeps in .addons/MAJOR/results.json.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { directoryOf, root } from './install.mjs';
import { packages } from './packages.mjs';

const CALLS = ['idle', 'busy', 'fork', 'supervise'];

/** How the addon came here. */
function originOf(major, name, { plain }) {
  if (plain.binaries.length === 0) return 'no addon';
  const log = join(directoryOf(major, name), 'install.log');
  const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
  return /CXX\(target\)|CC\(target\)|Building CXX object/.test(text) ? 'compiled' : 'prebuilt';
}

/** A note at the foot of the table for each different text. */
class Notes {
  #texts = [];

  /** @param {string} text @returns {string} its number */
  of(text) {
    if (!this.#texts.includes(text)) this.#texts.push(text);
    return `[${this.#texts.indexOf(text) + 1}]`;
  }

  list() {
    return this.#texts.map((text, index) => `${index + 1}. ${text}`).join('\n');
  }
}

/** What is the same but for ids, addresses and paths of one run. @param {string} text */
const general = (text) =>
  text
    .replace(/\/\S*\/doublefork-soak-\w+/g, 'DIRECTORY')
    .replace(homedir(), '~')
    .replace(/\/\S*\/\.addons\/\d+\/[^/\s]+\/node_modules/g, 'node_modules')
    .replace(/\b(thread|process|tid|pid) \d+/g, '$1 N')
    .split('\n')[0]
    .trim();

function cellOf(sum, result, notes) {
  if (sum === undefined) return '';
  const marks = [...new Set(sum.texts.map((text) => notes.of(general(text))))].join(' ');
  if (sum.broken > 0) {
    return result.doctor === undefined ? `**BROKEN** ${marks}` : `unsafe, doctor tells`;
  }
  if (sum.refused === 0) return 'works';
  return sum.works === 0
    ? `refused ${marks}`
    : `works; ${sum.refused} of ${sum.works + sum.refused} refused ${marks}`;
}

function tableOf(major, results, notes) {
  const rows = packages
    .filter(({ name }) => results[name]?.plain?.works === 1)
    .sort((a, b) => a.name.replace('@', '').localeCompare(b.name.replace('@', '')))
    .map(({ name }) => {
      const result = results[name];
      const cells = CALLS.map((call) => cellOf(result[call], result, notes) || '—');
      return `| ${[`${name} ${result.version}`, originOf(major, name, result), result.times, ...cells].join(' | ')} |`;
    });
  return [
    '| addon | binary | times | daemonize(), idle | daemonize(), work in flight | fork() | supervise() |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function leftOut(results) {
  const rows = packages.flatMap(({ name, version }) => {
    const result = results[name];
    if (result?.failure !== undefined)
      return [`| ${name} ${version} | ${general(result.failure)} |`];
    if (result?.plain?.works === 0) {
      return [
        `| ${name} ${result.version} | it fails by itself, before any call: ${general(result.plain.texts[0])} |`,
      ];
    }
    return [];
  });
  return rows.length === 0
    ? ''
    : `\nNot tried, because they could not be installed or do not work on this Node:\n\n| addon | reason |\n| --- | --- |\n${rows.join('\n')}\n`;
}

function warnings(all) {
  const told = new Map();
  for (const results of all) {
    for (const [name, { doctor }] of Object.entries(results)) if (doctor) told.set(name, doctor);
  }
  return [...told]
    .map(([name, text]) => `- **${name}**: ${text.replace(/^\S+ \S+ /, '')}`)
    .join('\n');
}

const HEAD = `# Native addons

Which native addons go on working when the process becomes a daemon, is copied, or gets a supervisor. Made by
\`npm run test:addons\`, on x64 with the fork engine; with the exec engine the program starts again, and nothing is
asked of an addon.

How each is tried: the program opens what it wants of the addon (a database, a socket, a model), uses it once, and makes the
call. Afterwards it uses **what was opened before** again, and each answer is compared with the known one. A wrong answer, a
hang and a crash all count as broken; none is tried a second time.

- **times**: how many daemons there were of each kind, how many children of one process, and how many restarts under one
  supervisor.
- **daemonize(), idle**: nothing is under way.
- **daemonize(), work in flight**: four calls have begun in the addon's threads, or in those of Node, and their answers must
  arrive in the daemon. \`—\`: none was seen under way: the addon's calls return when they are done.
- **fork()**: children of one process one after the other, each with work in flight where there is such work. The answers must
  arrive in parent and child.
- **supervise()**: two workers, which are killed (SIGKILL, SIGSEGV) and started again, with work in flight as well.

Of a socket or terminal, whose messages either process would take, each copy of \`fork()\` and \`supervise()\` opens its own.
That a database goes on working in a child does not mean that its makers allow it: SQLite and LMDB do not. Open it behind
the call.

**prebuilt**: the binary is in the npm package; **compiled**: by its install script, with g++; **no addon**: WebAssembly or a
child process, for comparison. **works**: all of it. **refused**: the call threw the error below; the program was used once
more, to see that nothing had changed. **unsafe, doctor tells**: it does not work, and \`doublefork doctor\` says so where
the package is installed.
`;

/** Writes the page anew. */
export function writePage() {
  const directory = join(root, '.addons');
  const all = [];
  const parts = [];
  for (const major of readdirSync(directory).sort((a, b) => Number(a) - Number(b))) {
    const path = join(directory, major, 'results.json');
    if (!existsSync(path)) continue;
    const results = JSON.parse(readFileSync(path, 'utf8'));
    const tried = Object.values(results).filter(({ plain }) => plain?.works === 1);
    if (tried.length === 0) continue;
    all.push(results);
    const notes = new Notes();
    const table = tableOf(major, results, notes);
    const date = tried
      .map((result) => result.date)
      .sort()
      .at(-1);
    const { node } = tried[0];
    const refusals = notes.list();
    const errors = refusals === '' ? '' : `\nThe errors:\n\n${refusals}\n`;
    parts.push(
      `## Node ${node.slice(1)}, ${date}: ${tried.length} addons\n\n${table}\n${errors}${leftOut(results)}`,
    );
  }
  const told = warnings(all);
  const unsafe = told === '' ? '' : `\n## What doctor tells\n\n${told}\n`;
  writeFileSync(join(root, 'docs/addons.md'), `${HEAD}\n${parts.join('\n')}${unsafe}`);
}
