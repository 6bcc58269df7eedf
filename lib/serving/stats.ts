/** A batcher's counters as callers see them. */
import { type Device, deviceFromCode } from '../device';
import type { BatcherState } from '../native-interface';

/**
 * Counts of values by size, as Prometheus has them: `counts[i]` values were at most `bounds[i]` and more than the bound before it;
 * the last count, which has no bound, holds the rest.
 */
export interface Histogram {
  /** The upper bounds, in ascending order. */
  bounds: number[];
  /** One more than the bounds. */
  counts: number[];
  /** The sum of all values. */
  sum: number;
  /** The number of values. */
  count: number;
}

/** The state of a {@link Batcher}, and what it did since it was made. */
export interface BatcherStats {
  /** Requests that wait. */
  queued: number;
  /** Bytes of their inputs. */
  queuedBytes: number;
  /** Requests in the batches that run now. */
  running: number;
  /** Requests that were submitted with valid arguments: those below, and those that wait or run. */
  requests: number;
  /** Requests whose result was delivered. */
  succeeded: number;
  /** Requests whose run failed, or that were rejected by `close({ drain: false })`. */
  failed: number;
  /** Requests that were aborted by their signal. */
  cancelled: number;
  /** Requests that were not finished within their timeout. */
  timedOut: number;
  /** Requests that the full queue refused. */
  rejected: number;
  /** Images of the requests that succeeded. */
  images: number;
  /** Batches that began. */
  batches: number;
  /** Sums in milliseconds over the requests that succeeded. Each request of a batch counts the whole time of the batch. */
  durations: {
    /** From the call to the result. */
    request: number;
    /** For the copy of an input in JavaScript's memory. */
    input: number;
    /** From then to the start of the batch. */
    queue: number;
    /** For the run, with copies to and from a GPU. */
    compute: number;
    /** From the end of the run to the results' way back. */
    output: number;
  };
  /** Images of each batch. */
  batchSize: Histogram;
  /** Requests of each batch. */
  batchRequests: Histogram;
  /** Milliseconds that each request waited for its batch. */
  queueTime: Histogram;
  /** Milliseconds that each batch ran. */
  computeTime: Histogram;
  /** The devices that were used. */
  devices: {
    /** The name of the device, such as "cuda:0". */
    device: Device;
    /** Requests that run there now. */
    running: number;
    /** Batches that began there. */
    batches: number;
    /** Images of those batches. */
    images: number;
    /** True after the device failed for good; a batcher with `devices` does not use it any more. */
    lost: boolean;
  }[];
}

export function statsOf(state: BatcherState): BatcherStats {
  const { requestMs, inputMs, queueMs, computeMs, outputMs, ...rest } = state;
  const { batchImages, queueTimes, computeTimes, devices, ...counters } = rest;
  return {
    ...counters,
    durations: {
      request: requestMs,
      input: inputMs,
      queue: queueMs,
      compute: computeMs,
      output: outputMs,
    },
    batchSize: batchImages,
    queueTime: queueTimes,
    computeTime: computeTimes,
    devices: devices.map(({ device, ...counts }) => ({ device: deviceFromCode(device), ...counts })),
  };
}
