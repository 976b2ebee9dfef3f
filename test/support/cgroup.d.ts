/**
 * Makes a group below our own, in which processes have so many bytes together; removed when the test
 * has finished.
 * @returns the file that takes the pid of a process to move there
 * @throws if this user may not make one, or memory is not limited by groups here
 */
export declare function limitedGroup(bytes: number): string;
