import { TokenLearnerError } from '../errors';
import { ioError } from '../formats/format-error';
import { printableText } from './printable';

/** True if an error, or its cause, is EPIPE: the reader has closed the pipe, as in `tokenlearner info | head -1`. */
export function isClosedPipe(error: unknown): boolean {
  if ((error as NodeJS.ErrnoException | null | undefined)?.code === 'EPIPE') return true;
  return error instanceof TokenLearnerError && isClosedPipe(error.cause);
}

const reported = new WeakSet();

/**
 * Prints a failure, once: a write that fails rejects its caller and makes the stream emit the same error, or its cause. Its text may hold names
 * from files.
 */
export function reportFailure(error: unknown, text: string): void {
  const root = error instanceof TokenLearnerError ? (error.cause ?? error) : error;
  if (typeof root === 'object' && root !== null) {
    if (reported.has(root)) return;
    reported.add(root);
  }
  process.stderr.write(`tokenlearner: ${printableText(text)}\n`);
}

/**
 * Ignores writes to a closed pipe, which would otherwise end the process with a stack trace. The work continues: the files that a
 * command writes do not depend on who reads its messages. Any other failure, such as a full disk, fails the command.
 */
export function ignoreClosedPipes(
  streams: readonly NodeJS.EventEmitter[] = [process.stdout, process.stderr],
): void {
  for (const stream of streams) {
    stream.on('error', (error: Error) => {
      if (isClosedPipe(error)) return;
      process.exitCode = 1;
      if (stream === process.stderr) return;
      const { message, code } = ioError('written', 'standard output', error);
      reportFailure(error, `${message} [${code}]`);
    });
  }
}
