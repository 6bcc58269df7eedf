/** Thrown by a command that has said all there is to say: nothing more is printed, and the exit code is 1. */
export class SilentFailure extends Error {}
