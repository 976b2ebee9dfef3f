/**
 * `doublefork/health`: says over HTTP whether a program lives and is ready, and what it measures.
 * @module
 */

export type { Check, CheckResult } from './checks.js';
export { type HealOptions, type Health, type HealthOptions, health } from './health.js';
export type { ProcessReport } from './report.js';
