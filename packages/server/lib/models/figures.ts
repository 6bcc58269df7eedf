/** What a model's runner has counted: for the metrics, the statistics and the status page. */

/** Counts of observations by the upper bounds of their buckets. */
export interface Buckets {
  /** Not cumulative: the observations above the bound before it. The last bound may be Infinity. */
  buckets: readonly { le: number; count: number }[];
  sum: number;
}

/** Times are sums over the requests that succeeded, in milliseconds. */
export interface Figures {
  /** Requests that succeeded. */
  requests: number;
  /** Their images: the product of a request's leading dimensions. */
  images: number;
  /** Batches that began. */
  executions: number;
  queued: number;
  queuedBytes: number;
  queueMs: number;
  computeMs: number;
  batchSizes: Buckets;
  /** In seconds. */
  queueTimes: Buckets;
}

const NONE: Buckets = { buckets: [], sum: 0 };

const NO_FIGURES: Figures = Object.freeze({
  requests: 0,
  images: 0,
  executions: 0,
  queued: 0,
  queuedBytes: 0,
  queueMs: 0,
  computeMs: 0,
  batchSizes: NONE,
  queueTimes: NONE,
});

/** Adds the figures of several runners, whose buckets have the same bounds. */
export function addFigures(all: readonly Figures[]): Figures {
  return all.reduce(
    (a, b) => ({
      requests: a.requests + b.requests,
      images: a.images + b.images,
      executions: a.executions + b.executions,
      queued: a.queued + b.queued,
      queuedBytes: a.queuedBytes + b.queuedBytes,
      queueMs: a.queueMs + b.queueMs,
      computeMs: a.computeMs + b.computeMs,
      batchSizes: addBuckets(a.batchSizes, b.batchSizes),
      queueTimes: addBuckets(a.queueTimes, b.queueTimes),
    }),
    NO_FIGURES,
  );
}

function addBuckets(a: Buckets, b: Buckets): Buckets {
  const [longer, shorter] = a.buckets.length >= b.buckets.length ? [a, b] : [b, a];
  return {
    sum: a.sum + b.sum,
    buckets: longer.buckets.map(({ le, count }, i) => ({
      le,
      count: count + (shorter.buckets[i]?.count ?? 0),
    })),
  };
}

/** The bounds of queue times in seconds. They and those of sizes are the Batcher's: a reload can change how a model runs, not the bounds. */
const TIME_BOUNDS = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  5,
  Infinity,
];
/** The bounds of batch sizes in images. */
const SIZE_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, Infinity];

/** Counts observations. */
export class BucketCounter {
  readonly #counts: number[];
  #sum = 0;
  readonly #bounds: readonly number[];

  constructor(kind: 'sizes' | 'seconds') {
    this.#bounds = kind === 'sizes' ? SIZE_BOUNDS : TIME_BOUNDS;
    this.#counts = this.#bounds.map(() => 0);
  }

  observe(value: number): void {
    const index = this.#bounds.findIndex((bound) => value <= bound);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  buckets(): Buckets {
    return { sum: this.#sum, buckets: this.#bounds.map((le, i) => ({ le, count: this.#counts[i] ?? 0 })) };
  }
}
