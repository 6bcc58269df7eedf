import { formatReport } from '../../../lib/cli/doctor';
import type { DoctorReport } from '../../../lib/doctor/doctor';
import { failed, fine, type Finding, warning } from '../../../lib/doctor/finding';
import { machine } from '../doctor/support';

function report(...findings: Finding[]): DoctorReport {
  const ok = findings.every(({ status }) => status !== 'failed');
  return { version: '1.2.3', ok, findings, machine: machine(), probe: { events: [], crash: null } };
}

describe('formatReport', () => {
  it('has a line for each finding, and its remedy under it', () => {
    expect(formatReport(report(fine('Node', '22.0.0'), warning('CPU', 'old', 'Buy one.')))).toBe(
      'tokenlearner 1.2.3\n\nok    Node  22.0.0\nwarn  CPU   old\n            -> Buy one.\n\nAll is well, 1 with a warning.',
    );
  });

  it('counts what failed, and keeps long messages in their column', () => {
    const text = formatReport(report(failed('libtorch', 'one\ntwo', 'Do it.')));
    expect(text).toContain('FAIL  libtorch  one\n                two\n                -> Do it.');
    expect(text).toContain('1 failed.');
  });
});
