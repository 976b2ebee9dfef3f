import type { Action, Decision, Event, Life, Limits, Outcome, State } from '../../../src/supervise/state.js';
export declare const limits: Limits;
export declare const crash: Outcome;
export declare const exit: (exitCode: number) => Outcome;
/** An event without its time and luck. */
type Untimed = Event extends infer E ? E extends Event ? Omit<E, 'now' | 'random'> : never : never;
export declare class World {
    #private;
    state: State;
    now: number;
    /** What the kernel knows to run. */
    readonly processes: Map<number, {
        id: number;
        signals: NodeJS.Signals[];
        killed: boolean;
    }>;
    readonly decisions: Decision[];
    readonly actions: Action[];
    exitCode: number | undefined;
    refuseForks: boolean;
    random: number;
    constructor(changes?: Partial<Limits>, workers?: number);
    /** Another world that is as this one is now. What was told so far stays behind. */
    copy(): World;
    /** One event, and everything that follows from it at once. Checks what must always hold. */
    send(event: Untimed): void;
    /** What holds in every state. */
    check(): void;
    /** Time passes until the policy's next deadline. */
    advance(): void;
    pass(ms: number): void;
    exited(pid: number, outcome: Outcome): void;
    /** The process that serves as a worker. */
    main(id?: number): Life;
    told(event: Decision['event']): Decision[];
}
export {};
