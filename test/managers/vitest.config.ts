// `npm run test:managers`: long tests with real service managers. What of them is quick is in
// test/integration/managers.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/managers/*.test.ts'],
    setupFiles: ['test/support/strays.ts'],
    testTimeout: 900_000,
    hookTimeout: 60_000,
    pool: 'forks',
    fileParallelism: false,
    reporters: ['verbose'],
  },
});
