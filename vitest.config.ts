import { defineConfig } from 'vitest/config';

/** Files that hold for both engines. */
const SHARED = ['test/integration/daemonize/**/*.test.ts'];

export default defineConfig({
  test: {
    setupFiles: ['test/support/strays.ts'],
    // Deadlines of the tests themselves come first, and bring stack traces: test/support/watchdog.ts.
    testTimeout: 180_000,
    hookTimeout: 60_000,
    pool: 'forks',
    fileParallelism: true,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: 'fork', include: ['test/{unit,integration,differential}/**/*.test.ts'] },
      },
      {
        extends: true,
        test: { name: 'exec', include: SHARED, env: { DOUBLEFORK_ENGINE: 'exec' } },
      },
    ],
  },
});
