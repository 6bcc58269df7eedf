/** The counts of a model's requests. */
import type { FailureReason } from '../problem';

/** What the times of a request are, in milliseconds. */
export interface RequestTimes {
  /** From the header fields to the end of the answer. */
  total: number;
  /** From the header fields until the input was whole. */
  input: number;
  /** Encoding the answer. */
  output: number;
}

export const FAILURE_REASONS: readonly FailureReason[] = ['REJECTED', 'CANCELED', 'BACKEND', 'OTHER'];

/** Counts of requests, and sums of their times. */
export class ModelStatistics {
  succeeded = 0;
  /** Requests that are under way, from their header fields on. */
  pending = 0;
  /** The time of the last answer, in milliseconds since 1970; 0 if there was none. */
  last = 0;
  /** The sums over the requests that succeeded. */
  readonly sums: RequestTimes = { total: 0, input: 0, output: 0 };
  /** The sum of the whole times of the requests that failed. */
  failedTime = 0;
  readonly failed: Record<FailureReason, number> = { REJECTED: 0, CANCELED: 0, BACKEND: 0, OTHER: 0 };

  success({ total, input, output }: RequestTimes): void {
    this.succeeded += 1;
    this.last = Date.now();
    this.sums.total += total;
    this.sums.input += input;
    this.sums.output += output;
  }

  failure(reason: FailureReason, time: number): void {
    this.failed[reason] += 1;
    this.failedTime += time;
  }
}
