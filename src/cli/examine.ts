// What works on this system, and why not: for doublefork doctor.

import { accessSync, constants, existsSync, readFileSync } from '../builtin/fs.js';
import { dirname, resolve } from '../builtin/path.js';
import { logFolder, makeFolder, stateFolder } from '../control/folders.js';
import { managerFacts, recognizeManager, recognizeWrapper } from '../detach/recognize.js';
import { unitType } from '../detach/unit-type.js';
import { Pidfile } from '../pidfile/pidfile.js';
import { close } from '../posix/descriptor.js';
import { sentenceOf } from '../posix/errors.js';
import { forkSupport } from '../posix/fork.js';
import { nativeFile } from '../posix/parts.js';
import { pidfdOpen } from '../posix/pidfd.js';
import { type Finding, fact, system } from './finding.js';
import { knownPackages } from './packages.js';

/** Needs the addon. */
export function examine(): Finding[] {
  return [
    engine(),
    addon(),
    ...system(),
    attempt('pidfd', 'warning', () => {
      close(pidfdOpen(process.pid));
      return 'a process is waited for and signalled without a race';
    }),
    attempt('/proc', 'warning', () => {
      readFileSync('/proc/self/stat');
      return 'mounted';
    }),
    attempt('/dev/null', 'failed', () => {
      accessSync('/dev/null', constants.R_OK | constants.W_OK);
      return 'can be read and written';
    }),
    folder('state', stateFolder()),
    folder('logs', logFolder()),
    attempt('pidfile lock', 'failed', lock),
    manager(),
    ...limits(),
    ...packages(),
  ];
}

function addon(): Finding {
  const file = nativeFile('doublefork.node');
  return fact('addon', file === undefined ? 'found by the package bindings' : resolve(file));
}

function engine(): Finding {
  const support = forkSupport();
  return support.supported
    ? { what: 'engine', verdict: 'ok', detail: 'fork: the process goes on as the daemon' }
    : { what: 'engine', verdict: 'warning', detail: `exec only; no fork: ${support.reason}` };
}

function attempt(what: string, otherwise: 'warning' | 'failed', check: () => string): Finding {
  try {
    return { what, verdict: 'ok', detail: check() };
  } catch (error) {
    return { what, verdict: otherwise, detail: sentenceOf(error) };
  }
}

/** Does not make it: that is for the first start. */
function folder(what: string, path: string): Finding {
  return attempt(what, 'failed', () => {
    if (existsSync(path)) {
      makeFolder(path);
      accessSync(path, constants.W_OK);
      return `${path} can be written`;
    }
    let parent = dirname(path);
    while (!existsSync(parent)) parent = dirname(parent);
    accessSync(parent, constants.W_OK);
    return `${path} will be made`;
  });
}

function lock(): string {
  const path = `${existsSync(stateFolder()) ? stateFolder() : '/tmp'}/.doctor.${process.pid}`;
  const pidfile = Pidfile.acquire(path);
  pidfile.abandon();
  return 'files can be locked';
}

/** Of this command itself: to be put where the program is started, such as in ExecStart=. */
function manager(): Finding {
  const facts = managerFacts();
  const found = recognizeManager(facts);
  if (found === undefined) {
    const wrapped = recognizeWrapper(facts);
    const why =
      wrapped === undefined
        ? ''
        : `; ${wrapped.name} watches ${facts.parent}, which has started it: is it to watch the program, end the script with "exec"`;
    return fact(
      'service manager',
      `none is recognized: a program started like this leaves the terminal${why}`,
    );
  }
  const forking = found.name === 'systemd' && unitType() === 'forking';
  const then = forking ? 'leaves, as Type=forking wants it' : 'stays in the foreground';
  return fact(
    'service manager',
    `${found.name} (${found.sign}): a program started like this ${then}`,
  );
}

function limits(): Finding[] {
  const lines = existsSync('/proc/self/limits')
    ? readFileSync('/proc/self/limits', 'latin1').split('\n')
    : [];
  return ['Max open files', 'Max processes', 'Max core file size'].flatMap((name) => {
    const line = lines.find((text) => text.startsWith(name));
    if (line === undefined) return [];
    const [soft, hard] = line.slice(name.length).trim().split(/\s+/);
    return [fact(name.replace('Max ', 'limit: '), `${soft} soft, ${hard} hard`)];
  });
}

/** Of the project in whose directory this is run. */
function packages(): Finding[] {
  return knownPackages(process.cwd()).map(({ name, version, remedy }) => ({
    what: `package: ${name}`,
    verdict: 'warning',
    detail: `${name} ${version} ${remedy}`,
  }));
}
