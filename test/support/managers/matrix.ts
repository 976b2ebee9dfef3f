// The columns of the matrix: what is done with each program under each manager, and what must be seen.

import { expect } from 'vitest';
import { until } from '../processes.js';
import type { Program } from './programs.js';
import type { Recipe } from './recipes.js';
import { COLUMNS, type Column, type Row, recipeOf } from './rows.js';
import { Visitor } from './visitor.js';
import type { World } from './world.js';

/** The pids of all processes of the program, and of what it has started. */
const FAMILY =
  'for p in /proc/[0-9]*; do case $(readlink $p/exe)@$(tr "\\0" " " <$p/cmdline 2>/dev/null) in */node@*server.[m]js*) basename $p;; esac; done 2>/dev/null; true';

interface Status {
  pid: number;
  phase: string;
  image: { number: number; pid: number };
  workers: { id: number; pid: number | null; state: string }[];
}

/** How a cell came out: `'yes'`, or why there is none. */
export type Cell = string;

/** A program under a manager, on its way through the columns. */
export class Passage {
  readonly #row: Row;
  readonly #program: Program;
  readonly #recipe: Recipe;
  #world!: World;
  #visitor!: Visitor;
  #version = 0;

  constructor(row: Row, program: Program) {
    this.#row = row;
    this.#program = program;
    this.#recipe = recipeOf(row);
  }

  /** Goes through all columns; the first that fails ends it. */
  async *cells(): AsyncGenerator<[Column, Cell]> {
    const without = this.#row.without(this.#program.name);
    // Without a start there is nothing.
    if (without.start !== undefined) {
      for (const column of COLUMNS) yield [column, column === 'start' ? without.start : ''];
      return;
    }
    const columns: Record<Column, () => Promise<void>> = {
      start: () => this.#start(),
      readiness: () => this.#readiness(),
      reload: () => this.#reload(),
      'crash of a worker': () => this.#workerCrashes(),
      'of the supervisor': () => this.#supervisorCrashes(),
      'of the daemon': () => this.#daemonCrashes(),
      stop: () => this.#stop(),
    };
    for (const column of COLUMNS) {
      const reason = without[column];
      if (reason === undefined) await columns[column]();
      yield [column, reason ?? 'yes'];
    }
  }

  async #start(): Promise<void> {
    this.#version++;
    this.#program.write(this.#greeting);
    if (this.#holds) this.#program.hold();
    await this.#boot();
    await this.#run('install');
    this.#starting = this.#row.startsByItself ? Promise.resolve() : this.#run('start', true);
    // It is looked at when it is awaited.
    this.#starting.catch(() => {});
    if (!this.#holds) await this.#starting;
    // Before it is ready it listens already.
    await this.#visitor.sees(this.#greeting);
  }

  async #boot(): Promise<void> {
    this.#world = await this.#row.boot(this.#program, this.#recipe);
    this.#visitor = new Visitor(this.#world.init);
    const { awake } = this.#row;
    if (awake !== undefined) {
      await until(async () => (await this.#world.sh(awake)).code === 0, `${this.#row.name} is up`);
    }
  }

  async #readiness(): Promise<void> {
    if (this.#holds) {
      let isStarted = false;
      void this.#starting.then(
        () => {
          isStarted = true;
        },
        () => {},
      );
      expect(await this.#says('up'), 'it is up before it is ready').toBe(false);
      expect(isStarted, 'the start is over before the program is ready').toBe(false);
      this.#program.release();
    }
    await this.#starting;
    expect(await this.#says('up'), 'it is not up after the start').toBe(true);
    expect(await this.#visitor.get()).toContain(this.#greeting);
  }

  #starting: Promise<unknown> = Promise.resolve();

  /** The start is held up until readiness is looked at. */
  get #holds(): boolean {
    return this.#program.isOurs && this.#row.knowsReadiness;
  }

  async #reload(): Promise<void> {
    const pid = await this.#pid();
    await this.#visitor.load();
    for (const step of ['reload', 'signal']) {
      if (this.#commands(step).length === 0) continue;
      this.#version++;
      this.#program.write(this.#greeting);
      await this.#run(step, true);
      // The signal does not wait.
      if (step === 'signal') await this.#visitor.sees(this.#greeting);
      else await this.#servesOnly();
      await this.#isSteady();
    }
    const outcomes = await this.#visitor.unload();
    const greetings = Object.keys(outcomes).filter((it) => !/^Version\d+$/.test(it));
    expect(greetings, `${JSON.stringify(outcomes)} during reloads`).toEqual([]);
    // One that fails leaves what there is, and says so.
    this.#program.break();
    const code = await this.#run('reload');
    await this.#isSteady();
    const { notReloaded } = this.#row;
    if (notReloaded !== undefined) await this.#sh(notReloaded);
    else expect(code, 'the reload to a broken version').not.toBe(0);
    await this.#servesOnly();
    this.#program.write(this.#greeting);
    expect(await this.#pid()).toBe(pid);
  }

  async #workerCrashes(): Promise<void> {
    const pid = await this.#pid();
    const before = await this.#status();
    const victim = before.workers[0]!.pid!;
    await this.#sh(`kill -KILL ${victim}`);
    await this.#isSteady(({ workers }) => !workers.some((worker) => worker.pid === victim));
    await this.#servesOnly();
    expect(await this.#pid()).toBe(pid);
  }

  async #supervisorCrashes(): Promise<void> {
    const pid = await this.#pid();
    const { image, workers } = await this.#status();
    // It is that of the version that a reload has brought: the service's own process stays, and starts another.
    expect(image.pid).not.toBe(pid);
    const lost = [image.pid, ...workers.map((worker) => worker.pid!)];
    await this.#sh(`kill -KILL ${image.pid}`);
    await this.#areGone(lost);
    await this.#isSteady(({ image: { number } }) => number > image.number);
    await this.#servesOnly();
    expect(await this.#pid()).toBe(pid);
  }

  async #daemonCrashes(): Promise<void> {
    await this.#dies(await this.#pid());
  }

  /** Kills a process, without which all others end; the service is started again if there is who does it. */
  async #dies(pid: number): Promise<void> {
    const family = await this.#family();
    expect(family).toContain(pid);
    // From within nobody kills process 1.
    if (pid === 1) process.kill(this.#world.init, 'SIGKILL');
    else await this.#sh(`kill -KILL ${pid}`);
    if (this.#row.endsWithIt) await this.#world.ended;
    else await this.#areGone(family);
    if (!this.#row.restarts) {
      await this.#visitor.seesNobody();
      await this.#again();
      return;
    }
    await this.#visitor.sees(this.#greeting);
    await until(() => this.#says('up'), 'the manager has started it again');
    await this.#isSteady();
  }

  async #areGone(pids: readonly number[]): Promise<void> {
    let left: number[] = [];
    await until(async () => {
      left = (await this.#family()).filter((pid) => pids.includes(pid));
      return left.length === 0;
    }, `the processes ${pids} end`).catch((error) => {
      throw new Error(`${error.message}, but ${left}`);
    });
  }

  async #again(): Promise<void> {
    if (this.#row.endsWithIt) await this.#boot();
    await this.#run('start', true);
    await this.#visitor.sees(this.#greeting);
  }

  async #stop(): Promise<void> {
    await this.#visitor.hold(3, this.#program.slow);
    const stopping = this.#run('stop', true);
    await this.#visitor.seesNoAnswer();
    const outcomes = await this.#visitor.release();
    expect(outcomes).toEqual(outcomes.map(() => 'answered'));
    await stopping;
    if (this.#row.endsWithIt) {
      await this.#world.ended;
      await this.#visitor.seesNobody();
      return;
    }
    await until(() => this.#says('down'), 'the manager knows that it has stopped');
    expect(await this.#family(), 'processes after the stop').toEqual([]);
    await this.#visitor.seesNobody();
  }

  /** Whether it is as the row says. */
  async #says(what: 'up' | 'down'): Promise<boolean> {
    return (await this.#world.sh(this.#row[what])).code === 0;
  }

  async #pid(): Promise<number> {
    const { stdout } = await this.#world.sh(this.#row.pid);
    const pid = Number(stdout.trim());
    expect(pid, `${this.#row.pid}: ${stdout}`).toBeGreaterThan(0);
    return pid;
  }

  async #family(): Promise<number[]> {
    const { stdout } = await this.#world.sh(FAMILY);
    return stdout.split('\n').filter(Boolean).map(Number);
  }

  /** undefined: it cannot be asked. */
  async #ask(): Promise<Status | undefined> {
    const { stdout } = await this.#world.sh(`doublefork status ${this.#row.control} --json`);
    try {
      return JSON.parse(stdout)[0].supervisor;
    } catch {
      return undefined;
    }
  }

  async #status(): Promise<Status> {
    const status = await this.#ask();
    expect(status).toBeDefined();
    return status!;
  }

  /** Waits until all workers serve, and nothing is under way. */
  async #isSteady(and: (status: Status) => boolean = () => true): Promise<void> {
    let last: Status | undefined;
    await until(async () => {
      last = await this.#ask();
      return (
        last !== undefined &&
        last.phase === 'running' &&
        last.workers.every(({ state }) => state === 'ready') &&
        and(last)
      );
    }, 'all workers serve').catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
  }

  async #servesOnly(): Promise<void> {
    for (let count = 0; count < 6; count++) {
      expect(await this.#visitor.get()).toContain(this.#greeting);
    }
  }

  get #greeting(): string {
    return `Version${this.#version}`;
  }

  #commands(step: string): readonly string[] {
    return this.#recipe.steps[this.#row.step?.(step) ?? step] ?? [];
  }

  /** Runs what the recipe has for a step. @returns the code of the first that fails, or 0 */
  async #run(step: string, mustWork = false): Promise<number | null> {
    for (const command of this.#commands(step)) {
      const { admin, sh } = this.#world;
      const result = await (admin ?? sh).call(this.#world, command);
      const { code } = result;
      if (mustWork && code !== 0) {
        const { stdout, stderr } = result;
        throw new Error(`${command}: ${code}\n${stdout}${stderr}${this.#world.console}`);
      }
      if (code !== 0) return code;
    }
    return 0;
  }

  async #sh(line: string): Promise<void> {
    const { code, stderr } = await this.#world.sh(line);
    expect(code, `${line}: ${stderr}`).toBe(0);
  }
}
