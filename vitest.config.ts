import { forkSupport } from 'doublefork';
import { defineConfig } from 'vitest/config';

/** A build without the fork engine, as on musl and macOS, has nothing to test there. */
const { supported } = forkSupport();
const FORK_ONLY = ['fork', 'jobs', 'state'].map((name) => `test/integration/${name}/**`);
FORK_ONLY.push('test/differential/**');
if (!supported) console.log(`Not tested, for want of the fork engine: ${FORK_ONLY.join(', ')}`);

/** Files that hold for both engines. */
const SHARED = [
  'test/integration/daemonize/**/*.test.ts',
  'test/integration/supervise/{restart,stop,control,cgroup,reload,reload-trouble,udp}.test.ts',
];

export default defineConfig({
  test: {
    setupFiles: ['test/support/strays.ts'],
    reporters: ['default', './test/support/recap.ts'],
    // Deadlines of the tests themselves come first, and bring stack traces: test/support/watchdog.ts.
    testTimeout: 180_000,
    hookTimeout: 60_000,
    pool: 'forks',
    fileParallelism: true,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'fork',
          include: ['test/{unit,integration,differential}/**/*.test.ts'],
          exclude: supported ? [] : FORK_ONLY,
        },
      },
      {
        extends: true,
        test: { name: 'exec', include: SHARED, env: { DOUBLEFORK_ENGINE: 'exec' } },
      },
    ],
  },
});
