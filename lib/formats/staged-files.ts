/** The temporary files of this thread: a signal that ends the process would leave them behind. */
import { unlinkSync } from 'node:fs';

const staged = new Set<string>();
let observer: ((areThere: boolean) => void) | undefined;

/** Calls `observe` when temporary files begin to be there, and when there are none again. */
export function observeStaged(observe: ((areThere: boolean) => void) | undefined): void {
  observer = observe;
}

export function addStaged(file: string): void {
  staged.add(file);
  if (staged.size === 1) observer?.(true);
}

/** For a file that was renamed or deleted. */
export function dropStaged(file: string): void {
  if (staged.delete(file) && staged.size === 0) observer?.(false);
}

/** Deletes all of them, at once: for a process that is about to end. */
export function unlinkStaged(): void {
  for (const file of staged) {
    try {
      unlinkSync(file);
    } catch {
      // It was renamed or deleted already, or cannot be: the process ends anyway.
    }
  }
}
