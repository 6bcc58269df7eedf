import type { Pace } from './pace';

/** Items that are sorted, or merged, between two checks of the clock: a few milliseconds of work. */
const ITEMS_AT_ONCE = 2 ** 12;

/** Negative if `a` comes first, positive if `b` does. */
type Compare<T> = (a: T, b: T) => number;

/** Merges two sorted runs. Of equal items those of `first` come first. */
async function merge<T>(
  first: readonly T[],
  second: readonly T[],
  compare: Compare<T>,
  pace: Pace,
): Promise<T[]> {
  const merged: T[] = [];
  let [i, j] = [0, 0];
  while (merged.length < first.length + second.length) {
    const [a, b] = [first[i], second[j]];
    if (b === undefined || (a !== undefined && compare(a, b) <= 0)) {
      merged.push(a as T);
      i += 1;
    } else {
      merged.push(b);
      j += 1;
    }
    if (merged.length % ITEMS_AT_ONCE === 0) await pace.pause();
  }
  return merged;
}

/** Sorts into a new array, in slices of a few milliseconds so that the event loop can run. Equal items keep their order. */
export async function sorted<T extends object>(
  items: readonly T[],
  compare: Compare<T>,
  pace: Pace,
): Promise<T[]> {
  let runs: T[][] = [];
  for (let done = 0; done < items.length; done += ITEMS_AT_ONCE) {
    runs.push(items.slice(done, done + ITEMS_AT_ONCE).sort(compare));
    await pace.pause();
  }
  while (runs.length > 1) {
    const longer: T[][] = [];
    for (let i = 0; i < runs.length; i += 2)
      longer.push(await merge(runs[i] ?? [], runs[i + 1] ?? [], compare, pace));
    runs = longer;
  }
  return runs[0] ?? [];
}
