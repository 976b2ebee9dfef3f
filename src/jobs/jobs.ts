// What is behind the face of this directory: see index.ts.

export { inFork } from './in-fork.js';
export { createPool, jobs } from './pool.js';
export { snapshot } from './snapshot.js';
