/**
 * Types for config files in JavaScript and TypeScript.
 * @module
 */

type Argument = string | number;
/** Seconds, or a text with a unit: `30`, `0.5`, `'500 ms'`, `'2 min'`. */
type Time = number | string;
type Bound = number | 'infinity';

/** An app of a config file; docs/command.md says what each key does. */
export interface AppConfig {
  name?: string;
  program?: string;
  args?: readonly Argument[];
  cwd?: string;
  pidfile?: string;
  log?: string;
  /** Octal: `'027'`. */
  umask?: string;
  env?: Readonly<Record<string, Argument>>;
  envFile?: string;
  user?: Argument;
  group?: Argument;
  limits?: Readonly<Record<string, Bound | string | { soft?: Bound; hard?: Bound }>>;
  ready?: 'none' | 'notify' | 'fd';
  timeout?: Time;
  settle?: Time;
  stop?: Argument;
  commands?: Readonly<Record<string, Argument>>;
  dependsOn?: readonly string[];
  namespace?: string;
  restart?: 'always' | 'on-failure' | 'never';
  workers?: number;
  maxRestarts?: number;
  maxFailures?: number;
  minUptime?: Time;
  backoff?: string | { initial?: Time; max?: Time; factor?: number; jitter?: number };
  /** With its unit: `'512M'`. */
  memoryLimit?: string;
  stopTimeout?: Time;
  watchdog?: Time;
}

/** What a config file says: apps by name, or one app alone. */
export type Config =
  | { apps: Readonly<Record<string, AppConfig & { program: string }>> }
  | (AppConfig & { program: string });

/** Gives a config file its types: `export default defineConfig({ program: './server.js' })`. */
export const defineConfig = (config: Config): Config => config;
