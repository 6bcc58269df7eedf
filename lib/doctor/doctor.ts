import type { Finding } from './finding';
import { type Machine, thisMachine } from './machine';
import { checkMachine } from './machine-checks';
import { checkProbe } from './probe-checks';
import { runProbe } from './probe-process';
import type { ProbeReport } from './probe-report';

/** What `tokenlearner doctor` tells. */
export interface DoctorReport {
  /** Of this package. */
  version: string;
  /** Nothing failed; there may be warnings. */
  ok: boolean;
  findings: Finding[];
  /** What the findings rest on. */
  machine: Machine;
  probe: ProbeReport;
}

/** Examines this machine and this installation. Loads no native code into this process; blocks while another one does. */
export function examine(version: string, machine = thisMachine(), probe = runProbe()): DoctorReport {
  const findings = [...checkMachine(machine), ...checkProbe(probe, machine, version)];
  return { version, ok: findings.every(({ status }) => status !== 'failed'), findings, machine, probe };
}
