/**
 * `doublefork/config`: the configuration of a program, read from files, checked, and kept up to date in
 * every worker; and types for the command's own configuration files.
 * @module
 */

export { type AppConfig, type Config, defineConfig } from '../config/index.js';
export type { Change } from './changes.js';
export type { ConfigChange, ConfigOptions, LiveConfig } from './live.js';
export { loadConfig } from './live.js';
export { ConfigFileError } from './problem.js';
export type { StandardSchema } from './schema.js';
