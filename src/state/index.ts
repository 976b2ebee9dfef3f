/**
 * `doublefork/state`: what a program needs to be again where it was when it was killed.
 * @module
 */

export { Journal, type JournalOptions, type Recovered } from './journal.js';
