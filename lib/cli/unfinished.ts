import { reportFailure } from './closed-pipe';

/**
 * Makes the command fail if the process ends before it, as Node does once nothing is left to wait for: a promise of a JavaScript module may never
 * settle, and a module may call process.exit.
 *
 * @returns call it when the command has ended
 */
export function failUnfinished(): () => void {
  const onExit = (code: number): void => {
    // Another code has its own message.
    if (code !== 0) return;
    process.exitCode = 1;
    reportFailure(
      undefined,
      'the command could not finish: a promise that it waits for never settles, such as one of a JavaScript module, or something has called process.exit',
    );
  };
  process.on('exit', onExit);
  return () => {
    process.off('exit', onExit);
  };
}
