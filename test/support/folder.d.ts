/** A new empty folder, open to all users, removed when the test has finished. */
export declare function temporaryFolder(): string;
