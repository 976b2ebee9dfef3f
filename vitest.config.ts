import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,integration,differential}/**/*.test.ts'],
    setupFiles: ['test/support/strays.ts'],
    // Deadlines of the tests themselves come first, and bring stack traces: test/support/program.ts.
    testTimeout: 180_000,
    hookTimeout: 60_000,
    pool: 'forks',
    fileParallelism: true,
    maxWorkers: 2,
  },
});
