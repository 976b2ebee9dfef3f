export declare const node: string;
/** The major version of that Node. */
export declare const nodeMajor: number;
/** The root of the checkout, in which `import 'doublefork'` finds the package itself. */
export declare const root: string;
