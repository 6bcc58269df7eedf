/** How long the process may go on once its command has ended, in milliseconds. */
const LAST_WORDS = 500;

/**
 * Ends the process soon after its command, with the exit code that is set: a JavaScript module that the command loaded can have timers, workers and
 * connections that go on. What was written to standard output and standard error is passed on first. Where nothing goes on, the process ends by itself.
 */
export function endSoon(): void {
  setTimeout(() => {
    process.stdout.write('', () => {
      process.stderr.write('', () => {
        process.exit();
      });
    });
  }, LAST_WORDS).unref();
}
