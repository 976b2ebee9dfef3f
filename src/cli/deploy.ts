// doublefork deploy <directory>: a new version on one machine, which serves once it is ready and healthy, or not at all.

import { spawnSync } from 'node:child_process';
import { type ClientRequest, get, type RequestOptions } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { urlToHttpOptions } from 'node:url';
import { type Command, InvalidArgumentError } from 'commander';
import { checkName } from '../control/record.js';
import { print, printJson } from './output.js';
import { checkSource, type Kind, Releases, type UnderWay } from './releases.js';

interface Options {
  root: string;
  name: string;
  install?: string;
  ready?: string;
  health?: string;
  healthTimeout: number;
  keep: number;
  dryRun?: boolean;
  json?: boolean;
}

const number = (least: number) => (text: string) => {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) >= least) return Number(text);
  throw new InvalidArgumentError(`It must be a number from ${least}.`);
};

export function declare(command: Command): void {
  command
    .usage('[options] <directory> [-- program args...]')
    .argument('<directory>', 'the version: it is copied')
    .argument(
      '[program...]',
      'what to start, the first time; it begins in the directory of the version',
    )
    .requiredOption('--name <name>', 'what the daemon is called')
    .option('--root <directory>', 'where its releases are, and the link “current”', '.')
    .option(
      '--install <command>',
      'run this in the copy by sh(1), before it serves, such as "npm ci --omit=dev"',
    )
    .option('--ready <how>', 'for the first start: see doublefork start')
    .option(
      '--health <url>',
      'it must answer this with a code from 200 to 299: http://…, or unix:SOCKET:PATH',
    )
    .option('--health-timeout <seconds>', 'how long that may take', number(0), 30)
    .option('--keep <count>', 'how many releases stay', number(2), 5)
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--json', 'say in JSON what was done')
    .addHelpText(
      'after',
      '\nIf the version cannot be installed, does not come to serve or is not healthy, the one before serves, the link leads to\nit, and the exit code is 1. What an interrupted deploy has left is put right by the next one.',
    )
    .action(deploy);
}

/** What is tried, told as it begins. */
type Say = (step: string, detail?: string) => void;

async function deploy(source: string, program: string[], options: Options): Promise<void> {
  checkName(options.name);
  const from = checkSource(source, options.root);
  const health = options.health === undefined ? undefined : targetOf(options.health);
  using releases = new Releases(options.root);
  const say: Say = (step, detail) => {
    if (!options.json) print(detail === undefined ? step : `${step}: ${detail}`);
  };
  if (options.dryRun) {
    tellPlan(releases, from, program, options);
    return;
  }
  releases.take();
  const service = new Service(options, releases, say);
  recover(releases, service, say);
  const release = releases.nextName(new Date());
  const underWay: UnderWay = {
    step: 'copying',
    release,
    previous: releases.currentRelease,
    before: service.kind(),
  };
  releases.note(underWay);
  let serves = false;
  try {
    install(releases, from, release, options, say);
    releases.note({ ...underWay, step: 'switching' });
    say('switching', `current -> releases/${release}`);
    releases.pointTo(release);
    releases.note({ ...underWay, step: 'reloading' });
    service.renew(program);
    serves = true;
    if (health !== undefined) await isHealthy(health, options, say);
  } catch (error) {
    say('going back', `to ${underWay.previous ?? 'no version'}: ${(error as Error).message}`);
    const { before } = underWay;
    goBack(releases, underWay, () => {
      // Of a reload that has failed nobody has seen anything.
      if (serves || before !== 'supervisor') service.goBack(before, serves);
    });
    throw error;
  }
  releases.note(undefined);
  const removed = releases.prune(options.keep);
  const { previous } = underWay;
  if (options.json) printJson({ name: options.name, release, previous, removed });
  else print(`${options.name} runs release ${release}`);
}

function install(releases: Releases, from: string, release: string, options: Options, say: Say) {
  say('copying', from);
  const { directory, finish } = releases.copy(from, release);
  if (options.install !== undefined) {
    say('installing', options.install);
    const { status, signal, error } = spawnSync('sh', ['-c', options.install], {
      cwd: directory,
      // While it runs nobody else may deploy, whatever becomes of this process.
      stdio: ['ignore', options.json ? 2 : 'inherit', 'inherit', releases.lock],
    });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`"${options.install}" failed: ${signal ?? `code ${status}`}`);
  }
  finish();
}

/** What an interrupted deploy has left. */
function recover(releases: Releases, service: Service, say: Say): void {
  const { interrupted } = releases;
  releases.sweep();
  if (interrupted === undefined) return;
  const { release, previous, step, before } = interrupted;
  say(
    'putting right',
    `the deploy of ${release} was interrupted while ${step}; back to ${previous ?? 'no version'}`,
  );
  // What is kept in memory may be either.
  goBack(releases, interrupted, () => service.goBack(before, false));
}

/** The version before serves, and no trace is left of the other. */
function goBack(releases: Releases, { release, previous }: UnderWay, serve: () => void): void {
  releases.pointTo(previous);
  if (releases.interrupted?.step === 'reloading') serve();
  releases.remove(release);
  releases.sweep();
  releases.note(undefined);
}

/** The daemon, by way of the command's own commands. */
class Service {
  readonly #name: string;
  readonly #ready: string | undefined;
  readonly #releases: Releases;
  readonly #say: Say;
  readonly #json: boolean;

  constructor({ name, ready, json }: Options, releases: Releases, say: Say) {
    this.#name = name;
    this.#ready = ready;
    this.#releases = releases;
    this.#say = say;
    this.#json = json === true;
  }

  /** The new version serves. @throws if it does not, and then what there was is as before */
  renew(program: readonly string[]): void {
    const kind = this.kind();
    if (kind === 'supervisor') {
      this.#say('reloading', this.#name);
      this.#must('reload', this.#name);
      return;
    }
    if (kind === 'process') {
      // Nothing could take over from it.
      this.#say('restarting', this.#name);
      this.#must('restart', this.#name);
      return;
    }
    this.#say('starting', this.#name);
    const ready = this.#ready === undefined ? [] : ['--ready', this.#ready];
    if (program.length === 0) this.#must('start', this.#name);
    else this.#must('start', '--name', this.#name, ...ready, '--', ...program);
  }

  /**
   * What there was serves again; the link leads to it.
   * @param inMemory whether the version that is kept in memory is that
   * @throws if it does not
   */
  goBack(before: Kind, inMemory: boolean): void {
    const kind = this.kind();
    if (before === 'none') {
      if (kind !== 'none') this.#must('stop', this.#name);
    } else if (kind === 'none') {
      // It has ended for the new one.
      this.#must('start', this.#name);
    } else if (kind === 'process') this.#must('restart', this.#name);
    else if (!inMemory || this.#run(['rollback', this.#name], 2).status !== 0)
      this.#must('reload', this.#name);
  }

  kind(): Kind {
    const { status, stdout } = this.#run(['status', this.#name, '--json'], 'pipe');
    if (status !== 0) return 'none';
    const [{ supervisor }] = JSON.parse(String(stdout)) as [{ supervisor: unknown }];
    return supervisor === null ? 'process' : 'supervisor';
  }

  #must(...words: string[]): void {
    const { status } = this.#run(words, this.#json ? 2 : 'inherit');
    if (status !== 0) throw new Error(`doublefork ${words.join(' ')} failed with code ${status}`);
  }

  #run(words: readonly string[], stdout: 'pipe' | 'inherit' | 2) {
    // By the link, so that a reload finds what is current then.
    const cwd =
      this.#releases.currentRelease === null ? this.#releases.root : this.#releases.current;
    return spawnSync(process.execPath, [...process.execArgv, process.argv[1]!, ...words], {
      cwd,
      env: { ...process.env, PWD: cwd },
      stdio: ['ignore', stdout, stdout === 'pipe' ? 'ignore' : 'inherit', this.#releases.lock],
    });
  }
}

type Target = Pick<RequestOptions, 'socketPath' | 'hostname' | 'port' | 'path'>;

function targetOf(text: string): Target {
  const [, socketPath, path] = /^unix:([^:]+):(\/.*)$/.exec(text) ?? [];
  if (socketPath !== undefined) return { socketPath, path: path! };
  if (/^http:\/\//.test(text) && URL.canParse(text)) return urlToHttpOptions(new URL(text));
  throw new Error(`--health must be http://HOST:PORT/PATH or unix:SOCKET:/PATH, not "${text}"`);
}

/** @throws if it is not within the time, with the last answer */
async function isHealthy(target: Target, { health, healthTimeout }: Options, say: Say) {
  say('waiting for health', health);
  const end = performance.now() + healthTimeout * 1000;
  let answer = 'no answer';
  for (;;) {
    const left = end - performance.now();
    if (left <= 0) throw new Error(`not healthy within ${healthTimeout} s: ${health}: ${answer}`);
    answer = await ask(target, left);
    if (/^2\d\d\b/.test(answer)) return;
    await sleep(Math.min(100, Math.max(1, end - performance.now())));
  }
}

/** @returns the code and the first line, or why there is none */
function ask(target: Target, timeout: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const request: ClientRequest = get({ ...target, agent: false }, (response) => {
      response.setEncoding('utf8').on('data', (data: string) => {
        if (text.length < 200) text += data;
      });
      response.on('end', () => resolve(`${response.statusCode} ${text.split('\n', 1)[0]}`.trim()));
      response.on('error', (error) => resolve(error.message));
    });
    request.on('error', (error) => resolve(error.message));
    request.setTimeout(timeout, () => request.destroy(new Error('no answer')));
  });
}

function tellPlan(releases: Releases, from: string, program: readonly string[], options: Options) {
  const { interrupted, currentRelease } = releases;
  const steps = [
    ...(interrupted === undefined
      ? []
      : [`put right the interrupted deploy of ${interrupted.release}`]),
    `copy ${from} to ${releases.directory}/${releases.nextName(new Date())}`,
    ...(options.install === undefined ? [] : [`run there: ${options.install}`]),
    `have ${releases.current} lead there${currentRelease === null ? '' : `, not to ${currentRelease}`}`,
    `reload ${options.name}, or start it: ${program.join(' ') || 'as its config file says'}`,
    ...(options.health === undefined
      ? []
      : [`wait until ${options.health} answers with 2xx, for ${options.healthTimeout} s`]),
    `keep ${options.keep} releases of ${releases.all.length + 1}`,
  ];
  if (options.json) printJson({ name: options.name, steps });
  else for (const [index, step] of steps.entries()) print(`${index + 1}. ${step}`);
}
