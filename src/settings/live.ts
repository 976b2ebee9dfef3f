// loadConfig(): the configuration that is in force, and stays the last good one.

import { EventEmitter } from 'node:events';
import { deserialize, serialize } from 'node:v8';
import { closeSync, openSync } from '../builtin/fs.js';
import { resolve } from '../builtin/path.js';
import { thisProcess } from '../detach/this-process.js';
import { startDirectory } from '../image/directory.js';
import { bindMethods } from '../posix/bind.js';
import { integer, invalidType, outOfRange, sayFirst, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { type Found, type Published, published } from '../supervise/published.js';
import { valueInForce } from '../supervise/updates.js';
import { type Change, changesBetween, freeze } from './changes.js';
import { ConfigFileError } from './problem.js';
import { pathOf, type StandardSchema, validate } from './schema.js';
import { readSources, type Sources, signatureOf, type Wanted } from './sources.js';

/** Options of {@link loadConfig}. */
export interface ConfigOptions<T> {
  /** The file, in JSON, YAML or TOML by the end of its name. A relative one begins where the program was started. */
  file: string;
  /**
   * Checks the values, and gives them their type: of zod, valibot, arktype, or any other that is a
   * https://standardschema.dev. It has to answer at once, with plain values: sets, lists, texts, numbers, dates.
   */
  schema?: StandardSchema<T>;
  /**
   * Places whose files lie on top of it, the last one uppermost, if there are such: with `['linux', 'production']`
   * `app.yaml`, `app.linux.yaml`, `app.production.yaml`. Default: none.
   */
  places?: readonly string[];
  /**
   * What variables of the environment begin with that lie on top of all: with `'APP_'` `APP_PORT` is `port`, and
   * `APP_DATABASE__PASSWORD_FILE` names the file with `database.password`. Default: none count.
   */
  env?: string;
  /** Whether a change of the files is taken over by itself, or how often to look, in ms: 20 to 60,000. Default 500. */
  watch?: boolean | number;
  /** The signal on which a program that calls no supervise() looks at once; `false`: none. Default `'SIGHUP'`. */
  signal?: NodeJS.Signals | false;
  /** Longest file, in bytes. Default 1 MiB. */
  maxSize?: number;
}

/** What is in force from now on. */
export interface ConfigChange<T> {
  value: T;
  previous: T;
  /** Each value that is another one. */
  changes: readonly Change[];
  generation: number;
}

interface Events<T> {
  change: [ConfigChange<T>];
  refused: [ConfigFileError];
}

/** What {@link loadConfig} returns. */
export interface LiveConfig<T> extends Disposable {
  /** What is in force, frozen. Another object after each change: keep no part of it, or listen. */
  readonly value: T;
  /** 1 for what the program began with, one more for each change; the same in every worker. */
  readonly generation: number;
  /** Why what is there now is refused; undefined: it is in force. In a worker always undefined: the supervisor knows. */
  readonly problem: ConfigFileError | undefined;
  /** Calls back with each change, or each refusal. Where nobody listens to those they are printed on stderr. */
  on<K extends keyof Events<T>>(event: K, listener: (...args: Events<T>[K]) => void): this;
  off<K extends keyof Events<T>>(event: K, listener: (...args: Events<T>[K]) => void): this;
  /** Looks at once. In a worker it does nothing: the supervisor looks, see `doublefork reconfigure`. */
  reload(): void;
  /** Looks no more; the value stays. */
  close(): void;
}

const KNOWN: Readonly<Record<keyof ConfigOptions<unknown>, true>> = {
  file: true,
  schema: true,
  places: true,
  env: true,
  watch: true,
  signal: true,
  maxSize: true,
};

const INTERVAL = 500;
const MEBIBYTE = 2 ** 20;

/**
 * Reads the configuration of a program, checks it, and keeps it up to date: what is good is in force at once and as a
 * whole, what is not is refused, and the last good one stays. In a program that calls supervise() after it, the
 * supervisor reads and checks it once, and gives it to every worker.
 * @throws ConfigFileError, with file, line and column; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
 * ERR_OUT_OF_RANGE for wrong options
 */
export function loadConfig<T = Readonly<Record<string, unknown>>>(
  options: ConfigOptions<T>,
): LiveConfig<T> {
  try {
    refuseUnknown(options, Object.keys(KNOWN), 'options');
    return new Live(options);
  } catch (error) {
    throw sayFirst(error);
  }
}

class Live<T> implements LiveConfig<T> {
  /** The path of the file. */
  readonly name: string;
  readonly #wanted: Wanted;
  readonly #schema: StandardSchema<T> | undefined;
  readonly #interval: number;
  readonly #events = new EventEmitter();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #signal: NodeJS.Signals | undefined;
  readonly #hadTerminal: boolean;
  /** All that the value depends on. */
  #files: ReadonlySet<string> = new Set();
  /** What the files were when they were read, and when they were last looked at. */
  #known = '';
  #seen = '';
  #value: T;
  #generation = 1;
  #problem: ConfigFileError | undefined;
  #next: number;

  constructor(options: ConfigOptions<T>) {
    const { schema, places = [], env, watch = true, signal = 'SIGHUP' } = options;
    if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function')
      throw invalidType('options.schema', 'a Standard Schema, as of zod or valibot', schema);
    if (!Array.isArray(places)) throw invalidType('options.places', 'an Array of names', places);
    for (const place of places) {
      if (/^$|\//.test(text(place, 'options.places')))
        throw outOfRange('options.places', 'names without a slash', place);
    }
    if (env !== undefined && text(env, 'options.env') === '')
      throw outOfRange('options.env', 'what variables begin with', "''");
    this.name = resolve(startDirectory() ?? '/', text(options.file, 'options.file'));
    if (!/\.(json|ya?ml|toml)$/.test(this.name))
      throw outOfRange(
        'options.file',
        'a file that ends in .json, .yaml, .yml or .toml',
        this.name,
      );
    if (published.has(this.name))
      throw Object.assign(new Error(`${this.name} is loaded already: use what that has returned`), {
        code: 'ERR_INVALID_STATE',
      });
    this.#wanted = {
      file: this.name,
      places,
      prefix: env,
      maxSize: integer(options.maxSize ?? MEBIBYTE, 'options.maxSize', 1, 2 ** 30),
      environment: { ...process.env },
    };
    this.#schema = schema;
    this.#interval = intervalOf(watch);
    const inForce = valueInForce(this.name);
    if (inForce === undefined) this.#value = this.#read();
    else [this.#generation, this.#value] = decodeValue<T>(inForce);
    this.#next = performance.now() + this.#interval;
    this.#hadTerminal = hasTerminal();
    this.#signal = signal === false ? undefined : signal;
    if (this.#signal !== undefined) process.on(this.#signal, this.#onSignal);
    if (this.#interval !== Number.POSITIVE_INFINITY)
      this.#timer = setInterval(this.#tick, this.#interval).unref();
    published.set(this.name, this.#asPublished());
    bindMethods(this);
  }

  get value(): T {
    return this.#value;
  }

  get generation(): number {
    return this.#generation;
  }

  get problem(): ConfigFileError | undefined {
    return this.#problem;
  }

  on<K extends keyof Events<T>>(event: K, listener: (...args: Events<T>[K]) => void): this {
    this.#events.on(event, listener as (...args: unknown[]) => void);
    return this;
  }

  off<K extends keyof Events<T>>(event: K, listener: (...args: Events<T>[K]) => void): this {
    this.#events.off(event, listener as (...args: unknown[]) => void);
    return this;
  }

  reload(): void {
    if (thisProcess.worker === undefined) this.#say(this.#look(undefined));
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#signal !== undefined) process.off(this.#signal, this.#onSignal);
    this.#next = Number.POSITIVE_INFINITY;
    published.delete(this.name);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  readonly #tick = (): void => {
    // In a worker the supervisor looks.
    if (thisProcess.worker !== undefined) clearInterval(this.#timer);
    else this.#say(this.#look(performance.now()));
  };

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (thisProcess.worker !== undefined) return;
    const isHangup = signal === 'SIGHUP' && this.#hadTerminal && thisProcess.daemon === undefined;
    if (!isHangup || hasTerminal() || process.listenerCount(signal) > 1) {
      this.reload();
      return;
    }
    // Its terminal is gone, which is not about the configuration: as without us.
    process.off(signal, this.#onSignal);
    process.kill(process.pid, signal);
  };

  /** What the supervisor has of it. */
  #asPublished(): Published {
    const get = <V>(value: () => V) => ({ get: value, enumerable: true });
    return Object.defineProperties(
      {
        name: this.name,
        look: (now: number | undefined) => this.#look(now),
        encode: () => serialize([this.#generation, this.#value]).toString('base64'),
        receive: (text: string) => this.#receive(text),
      },
      {
        generation: get(() => this.#generation),
        problem: get(() => this.#problem?.message),
        next: get(() => this.#next),
      },
    ) as Published;
  }

  #look(now: number | undefined): Found | undefined {
    if (now !== undefined) {
      if (now < this.#next) return undefined;
      this.#next = now + this.#interval;
      const before = this.#seen;
      this.#seen = signatureOf(this.#files);
      // Somebody may be writing.
      if (this.#seen !== before || this.#seen === this.#known) return undefined;
    }
    try {
      const value = this.#read();
      this.#problem = undefined;
      return this.#put(value, this.#generation + 1);
    } catch (error) {
      if (!(error instanceof ConfigFileError)) throw error;
      this.#problem = error;
      return { kind: 'refused', error: error.message };
    }
  }

  #receive(text: string): void {
    const [generation, value] = decodeValue<T>(text);
    if (generation <= this.#generation) return;
    this.#say(this.#put(value, generation));
    // Of several updates the last one is told alone, and that may be what there was.
    this.#generation = generation;
  }

  /** Has it in force, as a whole. @returns undefined: it is no other than before */
  #put(value: T, generation: number): (Found & { change: ConfigChange<T> }) | undefined {
    const previous = this.#value;
    const changes = changesBetween(previous, value);
    if (changes.length === 0) return undefined;
    this.#value = value;
    this.#generation = generation;
    return {
      kind: 'changed',
      generation,
      changed: changes.map(({ path }) => path.join('.')),
      change: { value, previous, changes, generation },
    };
  }

  /** To the program; never in a supervisor, which runs nothing of it. */
  #say(found: Found | undefined): void {
    if (found === undefined) return;
    if ('change' in found) this.#events.emit('change', found.change);
    else if (this.#events.listenerCount('refused') > 0) this.#events.emit('refused', this.#problem);
    else
      process.stderr.write(
        `doublefork: the configuration stays as it was: ${found.kind === 'refused' ? found.error : ''}\n`,
      );
  }

  /** @throws ConfigFileError, with nothing changed but what is looked at */
  #read(): T {
    for (let again = MOST_READS; ; again--) {
      const before = new Map<string, string>();
      const depends = (file: string) => {
        if (!before.has(file)) before.set(file, signatureOf([file]));
      };
      let value: T | undefined;
      let problem: unknown;
      try {
        value = this.#check(readSources(this.#wanted, depends));
      } catch (error) {
        problem = error;
      }
      // What another version depends on may be what is mended.
      this.#files = new Set([...(problem === undefined ? [] : this.#files), ...before.keys()]);
      this.#known = this.#seen = signatureOf(this.#files);
      const isWhole = signatureOf(before.keys()) === [...before.values()].join('\n');
      if (!isWhole && again > 0) continue;
      // Another look is to find it new.
      if (!isWhole) this.#known = '';
      if (problem !== undefined) throw problem;
      if (isWhole) return value as T;
      const message = 'is written all the time: it could not be read as a whole';
      throw new ConfigFileError([{ file: this.name, message }], 'EAGAIN');
    }
  }

  #check({ values, origin }: Sources): T {
    const result =
      this.#schema === undefined ? { value: values as T } : this.#validate(this.#schema, values);
    if (result.issues !== undefined) {
      throw new ConfigFileError(
        result.issues.map((issue) => {
          const path = pathOf(issue);
          return { message: issue.message, path, ...origin(path) };
        }),
      );
    }
    const wrong = freeze(result.value);
    if (wrong === undefined) return result.value;
    const message =
      'must be a plain value: a set, list, text, number or date. Other objects cannot be handed to workers';
    throw new ConfigFileError([{ message, path: wrong, ...origin(wrong) }]);
  }

  #validate(schema: StandardSchema<T>, values: Sources['values']) {
    try {
      return validate(schema, values);
    } catch (error) {
      const { code = 'ERR_INVALID_CONFIG', message } = error as NodeJS.ErrnoException;
      throw new ConfigFileError(
        [{ file: this.name, message: `the schema failed: ${message}` }],
        code,
        error,
      );
    }
  }
}

/** How often to read what changes while it is read. */
const MOST_READS = 20;

function decodeValue<T>(text: string): [generation: number, value: T] {
  const decoded = deserialize(Buffer.from(text, 'base64')) as [number, T];
  freeze(decoded[1]);
  return decoded;
}

function intervalOf(watch: boolean | number): number {
  if (watch === false) return Number.POSITIVE_INFINITY;
  return watch === true ? INTERVAL : integer(watch, 'options.watch', 20, 60_000);
}

/** Whether the process has a controlling terminal that is still there. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
