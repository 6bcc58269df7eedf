/** Thrown by a command that has already printed its failure. Nothing more is printed, and the exit code is 1. */
export class SilentFailure extends Error {}
