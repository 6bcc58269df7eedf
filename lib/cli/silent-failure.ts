/** Thrown by a command that has already printed its failure. Nothing more is printed. */
export class SilentFailure extends Error {
  readonly exitCode: number;

  constructor(exitCode = 1) {
    super();
    this.exitCode = exitCode;
  }
}
