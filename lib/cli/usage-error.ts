/** Wrong usage of the command line that commander does not find itself. The exit code is 2. */
export class UsageError extends Error {}
