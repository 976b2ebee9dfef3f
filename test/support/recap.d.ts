import type { Reporter, SerializedError, TestModule } from 'vitest/node';
export default class Recap implements Reporter {
    onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void;
}
