import { unexpected } from '../validate';

/** Says by name which tensors of a file to read. */
export type NameFilter = (name: string) => boolean;

/** Whether a name passes. What the filter throws passes through. Throws ERR_INVALID_ARG_TYPE where it gives no boolean. */
export function passes(filter: NameFilter | undefined, name: string): boolean {
  if (filter === undefined) return true;
  const answer: unknown = filter(name);
  if (typeof answer === 'boolean') return answer;
  throw unexpected('ERR_INVALID_ARG_TYPE', 'options.filter', 'a function that returns a boolean', answer);
}
