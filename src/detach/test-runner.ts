// Test runners: a process that is to count failures must not become a daemon, or a supervisor, while it
// runs the tests. Its launcher would exit with code 0, and whoever started it take that for the result.

/** Keep the program in the foreground (`1`), or let it go: in a test runner, too, and under a service manager (`0`). */
export const FOREGROUND_VARIABLE = 'DOUBLEFORK_FOREGROUND';

/** What of the process tells a runner. A program that a test has started has its environment, but no more. */
export interface RunnerFacts {
  globals: Readonly<Record<string, unknown>>;
  env: Readonly<Record<string, string | undefined>>;
  /** Path of the program. */
  script: string;
  /** Node's own modules that are loaded. */
  modules: readonly string[];
}

interface Runner {
  name: string;
  /** All that is given must be there. */
  globals?: readonly string[];
  env?: string;
  script?: RegExp;
  module?: string;
}

const NODE_TEST = 'NativeModule test';

/** The first that fits. */
const RUNNERS: readonly Runner[] = [
  { name: 'vitest', globals: ['__vitest_worker__'] },
  { name: 'jest', globals: ['describe', 'it'], env: 'JEST_WORKER_ID' },
  { name: 'mocha', globals: ['describe', 'it'], script: /[\\/]_?mocha\b/ },
  // With `ui: 'tdd'`.
  { name: 'mocha', globals: ['suite', 'test'], script: /[\\/]_?mocha\b/ },
  { name: 'a test runner', globals: ['describe', 'it', 'expect'] },
  { name: 'node:test', module: NODE_TEST, env: 'NODE_TEST_CONTEXT' },
  // Run without `node --test`: the names that it would look for.
  { name: 'node:test', module: NODE_TEST, script: /([\\/]test-|[._-]test\.|[\\/]test\.)[^\\/]*$/ },
];

/** The runner whose tests run in this process; undefined: none that is known. */
export function findRunner(facts: RunnerFacts): string | undefined {
  return RUNNERS.find(
    ({ globals = [], env, script, module }) =>
      globals.every((name) => facts.globals[name] !== undefined) &&
      (env === undefined || facts.env[env] !== undefined) &&
      (script === undefined || script.test(facts.script)) &&
      (module === undefined || facts.modules.includes(module)),
  )?.name;
}

/**
 * @param call for whom, in the error
 * @param remedy what to do instead
 * @throws ERR_IN_TEST_RUNNER
 */
export function refuseTestRunner(call: 'daemonize' | 'supervise', remedy: string): void {
  if (process.env[FOREGROUND_VARIABLE] === '0') return;
  const { moduleLoadList = [] } = process as { moduleLoadList?: readonly string[] };
  const runner = findRunner({
    globals: globalThis as unknown as Record<string, unknown>,
    env: process.env,
    script: process.argv[1] ?? '',
    modules: moduleLoadList,
  });
  if (runner === undefined) return;
  const why = `tests of ${runner} run in this process, which would end for its runner as if all had passed`;
  throw Object.assign(
    new Error(
      `${call}() was called inside of a test runner: ${why}. ${remedy}: see docs/testing.md`,
    ),
    { code: 'ERR_IN_TEST_RUNNER' },
  );
}
