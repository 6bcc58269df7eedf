import type { Fail } from './format-error';

/** Absolute limits. State dicts of 100,000 tensors take less than half of each. */
const MAX_OPERATIONS = 10_000_000;
const MAX_ELEMENTS = 2 ** 24;
const MAX_MEMORY = 2 ** 29;

/** Limits in proportion to the file: an allowance for each byte, plus a free amount. */
const OPERATIONS_PER_BYTE = 4;
const ELEMENTS_PER_BYTE = 4;
const MEMORY_PER_BYTE = 64;
const FREE_OPERATIONS = 2 ** 16;
const FREE_ELEMENTS = 2 ** 16;
const FREE_MEMORY = 2 ** 24;

/** Bytes of memory that count as one unit of work. */
const MEMORY_PER_WORK = 64;

/**
 * Bounds the cost of a pickle in proportion to the size of its file:
 *
 * - operations: 4 per byte plus 65,536, at most 10 million;
 * - elements put into lists, tuples, sets, sizes and dicts, or copied from one to another: 4 per byte plus 65,536, at most
 *   16.8 million (2^24);
 * - memory for strings, numbers, containers, elements and the memo: 64 bytes per byte plus 16 MiB, at most 512 MiB.
 *
 * torch.save's own pickles of up to 100,000 tensors take less than half of each. Costs are charged before the work is done. A
 * call that copies a list costs the length of the list each time.
 */
export class PickleBudget {
  readonly #fail: Fail;
  readonly #limits: { operations: number; elements: number; memory: number };
  #operations = 0;
  #elements = 0;
  #memory = 0;

  /** @param fileBytes - the size of the file that holds the pickle, or the size of the pickle if that is less */
  constructor(fileBytes: number, fail: Fail) {
    this.#fail = fail;
    this.#limits = {
      operations: Math.min(OPERATIONS_PER_BYTE * fileBytes + FREE_OPERATIONS, MAX_OPERATIONS),
      elements: Math.min(ELEMENTS_PER_BYTE * fileBytes + FREE_ELEMENTS, MAX_ELEMENTS),
      memory: Math.min(MEMORY_PER_BYTE * fileBytes + FREE_MEMORY, MAX_MEMORY),
    };
  }

  /** Everything charged so far, in units of about the same time. */
  get work(): number {
    return this.#operations + this.#elements + this.#memory / MEMORY_PER_WORK;
  }

  /** Charges one operation of the machine. */
  operation(): void {
    this.#operations += 1;
    if (this.#operations > this.#limits.operations)
      throw this.#fail(
        `the pickle has over ${this.#limits.operations} operations, too many for a file of its size`,
      );
  }

  /** Charges elements that are put into a container, or copied. */
  elements(count: number): void {
    this.#elements += count;
    if (this.#elements > this.#limits.elements)
      throw this.#fail(
        `the pickle makes over ${this.#limits.elements} elements, too many for a file of its size`,
      );
  }

  /** Charges the approximate memory of a value, in bytes. */
  memory(bytes: number): void {
    this.#memory += bytes;
    if (this.#memory > this.#limits.memory)
      throw this.#fail(
        `the pickle takes over ${this.#limits.memory} bytes of memory, too much for a file of its size`,
      );
  }
}
