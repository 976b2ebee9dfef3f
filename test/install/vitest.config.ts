// `npm run test:install`: needs the registry, and prebuilds/.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    setupFiles: ['test/support/strays.ts'],
    include: ['test/install/**/*.test.ts'],
    testTimeout: 300_000,
    pool: 'forks',
    // They fetch into one folder.
    fileParallelism: false,
  },
});
