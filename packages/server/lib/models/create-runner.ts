import type { Module } from 'tokenlearner';
import type { BatchingOptions } from '../options';
import type { Runner, RunnerLimits } from './runner';
import { SingleRunner } from './single-runner';

/** The runner of a module. */
export function createRunner(module: Module, options: BatchingOptions & RunnerLimits): Runner {
  return new SingleRunner(module, options);
}
