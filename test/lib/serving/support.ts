import { type Batcher, Tensor } from '../../../lib';

const HOLD = Symbol.for('tokenlearner.batcher.hold');

/** No batch begins until `count` requests wait. */
export function hold(batcher: Batcher, count: number): void {
  (batcher as unknown as Record<symbol, (requests: number) => void>)[HOLD]?.(count);
}

/** Images of many sizes, with and without a leading dimension. */
export function images(count: number, channels = 16): Tensor[] {
  return Array.from({ length: count }, (_, i) =>
    Tensor.randn([...(i % 3 === 0 ? [] : [1 + (i % 2)]), channels, 1 + (i % 7), 2 + (i % 5)]),
  );
}
