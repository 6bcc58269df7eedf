import { TokenLearnerError } from '../errors';

/** Whether an error, or what caused it, is that nobody reads any more: `tokenlearner info | head -1`. */
export function isClosedPipe(error: unknown): boolean {
  if ((error as NodeJS.ErrnoException | null | undefined)?.code === 'EPIPE') return true;
  return error instanceof TokenLearnerError && isClosedPipe(error.cause);
}

/**
 * Has writing to a closed pipe do nothing, where Node would end the process with a stack. The work goes on: what a command
 * writes to files does not depend on who reads its messages. Any other failure, such as a full disk, fails the command.
 */
export function ignoreClosedPipes(
  streams: readonly NodeJS.EventEmitter[] = [process.stdout, process.stderr],
): void {
  for (const stream of streams) {
    stream.on('error', (error: Error) => {
      if (isClosedPipe(error)) return;
      process.exitCode = 1;
      if (stream !== process.stderr) process.stderr.write(`tokenlearner: ${error.message}\n`);
    });
  }
}
