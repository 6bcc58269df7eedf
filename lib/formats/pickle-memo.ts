import type { PickleBudget } from './pickle-budget';
import type { PickleValue } from './pickle-values';

/** Consecutive indices that share a map. Small maps grow in a fraction of a millisecond. */
const INDICES_PER_MAP = 2 ** 12;
/** The approximate size of a map, and of one of its entries, in bytes. */
const MAP_BYTES = 512;
const ENTRY_BYTES = 48;

/** The values that a pickle refers to by number. No call takes long, however many there are. */
export class PickleMemo {
  readonly #maps = new Map<number, Map<number, PickleValue>>();
  readonly #budget: PickleBudget;
  #size = 0;

  constructor(budget: PickleBudget) {
    this.#budget = budget;
  }

  /** The number of values. */
  get size(): number {
    return this.#size;
  }

  get(index: number): PickleValue | undefined {
    return this.#maps.get(Math.floor(index / INDICES_PER_MAP))?.get(index);
  }

  set(index: number, value: PickleValue): void {
    this.#budget.memory(ENTRY_BYTES);
    const map = this.#mapOf(Math.floor(index / INDICES_PER_MAP));
    const { size } = map;
    map.set(index, value);
    this.#size += map.size - size;
  }

  #mapOf(number: number): Map<number, PickleValue> {
    let map = this.#maps.get(number);
    if (map === undefined) {
      this.#budget.memory(MAP_BYTES);
      map = new Map();
      this.#maps.set(number, map);
    }
    return map;
  }
}
