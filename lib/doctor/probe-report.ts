import type { ErrorCode } from '../errors';
import type { CudaReport } from '../native-interface';
import type { SelfTest } from './self-test';

/** What can end in a crash, in the order in which it is tried. */
export type ProbeStep = 'addon' | 'libtorch' | 'cuda' | `self-test ${string}`;

export interface ProbeProblem {
  /** null for what is not a TokenLearnerError. */
  code: ErrorCode | null;
  message: string;
}

/** What the probing process writes, one JSON text a line: `begin` before each step, so that a crash has a name. */
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

/** What the probing process came to. */
export interface ProbeReport {
  events: ProbeEvent[];
  /** Set when it did not end well: the step it was in, and how it ended. */
  crash: { step: ProbeStep | 'start'; reason: string } | null;
}
