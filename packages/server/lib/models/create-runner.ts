import { Batcher, type Module, TokenLearnerError } from 'tokenlearner';
import type { BatchingOptions } from '../options';
import { BatchedRunner } from './batched-runner';
import type { Runner, RunnerLimits } from './runner';
import { SingleRunner } from './single-runner';

/** The runner of a module: a Batcher, unless the module computes its output in JavaScript. */
export function createRunner(module: Module, options: BatchingOptions & RunnerLimits): Runner {
  return canBatch(module) ? new BatchedRunner(module, options) : new SingleRunner(module, options);
}

/** Without options, the module alone can be the value that the Batcher refuses. */
function canBatch(module: Module): boolean {
  try {
    void new Batcher(module).close();
    return true;
  } catch (error) {
    if (error instanceof TokenLearnerError && error.code === 'ERR_INVALID_ARG_VALUE') return false;
    throw error;
  }
}
