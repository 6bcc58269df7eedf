import type { ErrorCode } from '../errors';
import type { CudaReport } from '../native-interface';
import type { SelfTest } from './self-test';

/** The steps that may crash, in the order in which they are tried. */
export type ProbeStep = 'addon' | 'libtorch' | 'cuda' | `self-test ${string}`;

export interface ProbeProblem {
  /** null for an error that is not a TokenLearnerError. */
  code: ErrorCode | null;
  message: string;
}

/** The probe writes one event per line, as JSON. `begin` precedes each step, so that a crash can be attributed. */
export type ProbeEvent =
  | { step: ProbeStep; begin: true }
  | { step: ProbeStep; problem: ProbeProblem }
  | { step: 'addon'; addon: { path: string; version: string; cuda: boolean; cudaArchitectures: string } }
  | {
      step: 'libtorch';
      libtorch: {
        libDir: string;
        version: string;
        variant: string | null;
        cudaBuild: boolean;
        source: string;
      };
    }
  | { step: 'cuda'; cuda: CudaReport }
  | { step: ProbeStep; selfTest: SelfTest };

/** The outcome of the probe. */
export interface ProbeReport {
  events: ProbeEvent[];
  /**
   * The step that failed and how the process ended; null if it ended normally. 'start': it could not be started; 'probe': it ended before the first step.
   */
  crash: { step: ProbeStep | 'start' | 'probe'; reason: string } | null;
}
