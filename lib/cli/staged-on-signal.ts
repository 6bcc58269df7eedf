import { observeStaged, unlinkStaged } from '../formats/staged-files';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Deletes the temporary files, and lets the signal end the process. Where others listen too, the process goes on. */
function endBy(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  unlinkStaged();
  listen(false);
  process.kill(process.pid, signal);
}

/** Listens first, so that a listener that removes itself still counts; only while there are temporary files, since a signal then waits for its turn. */
function listen(areThere: boolean): void {
  for (const signal of SIGNALS) {
    if (areThere) process.prependListener(signal, endBy);
    else process.off(signal, endBy);
  }
}

/** From now on, a signal that ends the process leaves no half-written temporary file. */
export function deleteStagedOnSignal(): void {
  observeStaged(listen);
}
