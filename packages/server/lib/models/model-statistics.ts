/** A model's statistics in the form of the protocol's extension, as Triton gives them. */
import { type ServedModel, VERSION } from './served-model';
import { FAILURE_REASONS } from './statistics';

const NANOSECONDS = 1e6;

interface Duration {
  count: number;
  ns: number;
}

/** @param milliseconds - the sum. */
function duration(count: number, milliseconds: number): Duration {
  return { count, ns: Math.round(milliseconds * NANOSECONDS) };
}

export function modelStatistics(model: ServedModel): object {
  const { statistics } = model;
  const { succeeded, sums, failed, failedTime, last } = statistics;
  const failures = FAILURE_REASONS.reduce((sum, reason) => sum + failed[reason], 0);
  const batches = model.figures();
  return {
    name: model.name,
    version: VERSION,
    last_inference: last,
    inference_count: batches.images,
    execution_count: batches.executions,
    inference_stats: {
      success: duration(succeeded, sums.total),
      fail: duration(failures, failedTime),
      queue: duration(batches.requests, batches.queueMs),
      compute_input: duration(succeeded, sums.input),
      compute_infer: duration(batches.requests, batches.computeMs),
      compute_output: duration(succeeded, sums.output),
      cache_hit: duration(0, 0),
      cache_miss: duration(0, 0),
    },
    batch_stats: [],
  };
}
