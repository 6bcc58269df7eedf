import { Command } from 'commander';
import { type DoctorReport, examine } from '../doctor/doctor';
import type { Finding, Status } from '../doctor/finding';
import { SilentFailure } from './silent-failure';
import { table } from './table';
import { version } from './version';

const MARKS: Record<Status, string> = { ok: 'ok', warning: 'warn', failed: 'FAIL' };

/** The lines of a long value are aligned under its first line. */
function rows({ name, status, value, remedy }: Finding): string[][] {
  const [head = '', ...rest] = value.split('\n');
  const advice = remedy === null ? [] : [['', '', `-> ${remedy}`]];
  return [[MARKS[status], name, head], ...rest.map((line) => ['', '', line]), ...advice];
}

/** The report for people. */
export function formatReport({ version: own, ok, findings }: DoctorReport): string {
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length;
  const sum = ok ? 'All is well' : `${count('failed')} failed`;
  const warnings = count('warning') === 0 ? '' : `, ${count('warning')} with a warning`;
  return `tokenlearner ${own}\n\n${table(findings.flatMap(rows))}\n\n${sum}${warnings}.`;
}

/** `tokenlearner doctor`: exit code 0 if nothing failed, 1 otherwise. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Examine this machine and this installation, and compute a known case on each device.')
    .option('--json', 'print JSON', false)
    .action(({ json }: { json: boolean }) => {
      const report = examine(version());
      process.stdout.write(`${json ? JSON.stringify(report, null, 2) : formatReport(report)}\n`);
      if (!report.ok) throw new SilentFailure();
    });
}
