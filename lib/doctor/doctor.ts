import type { Finding } from './finding';
import { type Machine, thisMachine } from './machine';
import { checkMachine } from './machine-checks';
import { checkProbe } from './probe-checks';
import { runProbe } from './probe-process';
import type { ProbeReport } from './probe-report';

/** The result of `tokenlearner doctor`. */
export interface DoctorReport {
  /** Of this package. */
  version: string;
  /** True if nothing failed. There may be warnings. */
  ok: boolean;
  findings: Finding[];
  /** The data behind the findings. */
  machine: Machine;
  probe: ProbeReport;
}

/** Examines this machine and this installation. A child process loads the native code; this function blocks until it ends. */
export function examine(version: string, machine = thisMachine(), probe = runProbe()): DoctorReport {
  const findings = [...checkMachine(machine), ...checkProbe(probe, machine, version)];
  return { version, ok: findings.every(({ status }) => status !== 'failed'), findings, machine, probe };
}
