import { evaluate } from './evaluate';
import { SAMPLE } from './sample';

interface Line {
  what: string;
  value: string;
  met: boolean;
}

function lineOf(beginning: string, results: object = SAMPLE): Line | undefined {
  const lines = evaluate('summary', `it.summarize(${JSON.stringify(results)})`) as Line[];
  return lines.find(({ what }) => what.startsWith(beginning));
}

describe('summarize', () => {
  it('takes the geometric mean over the workloads', () => {
    expect(lineOf('Faster than PyTorch eager')).toMatchObject({ value: '6.00×', met: true });
  });

  it('compares with the fastest peer of the documented computation, and not with a rewritten one', () => {
    expect(lineOf('Faster than the fastest peer')).toMatchObject({ value: '2.00×', met: true });
  });

  it('finds the workload on which any peer comes closest', () => {
    expect(lineOf('Faster than any peer')).toMatchObject({ value: '0.90×', met: false });
    expect(lineOf('Faster than any peer')?.what).toContain('ort-node-rewrite on doc-2');
  });

  it('measures against the floor by the number of channels', () => {
    const beginning = 'Time of the whole layer by that of its first matrix product alone, C';
    expect(lineOf(`${beginning} at least 128`)).toMatchObject({ value: '1.00×', met: true });
    expect(lineOf(`${beginning} 64`)).toMatchObject({ value: '2.00×', met: false });
  });

  it('has memory and overhead', () => {
    expect(lineOf('Peak resident memory')).toMatchObject({ value: '20 MB', met: true });
    expect(lineOf('A whole awaited')).toMatchObject({ value: '12 µs', met: true });
    expect(lineOf('An awaited')).toMatchObject({ value: '60 µs', met: false });
  });

  it('shows more digits of a value that is missed by less than its digits show', () => {
    const { overhead } = SAMPLE;
    const results = { ...SAMPLE, overhead: { ...overhead, smallest_us: 50.26, handover_us: 50 } };
    expect(lineOf('A whole awaited', results)).toMatchObject({ value: '50.26 µs', met: false });
    expect(lineOf('An awaited', results)).toMatchObject({ value: '50 µs', met: true });
  });

  it('leaves out what was not measured', () => {
    const workloads = SAMPLE.workloads.map((workload) => ({
      ...workload,
      contenders: { fused: workload.contenders.fused, eager: { failed: 'no compiler' } },
    }));
    expect(lineOf('Faster than', { ...SAMPLE, workloads })).toBeUndefined();
    expect(lineOf('Time of the whole layer', { ...SAMPLE, workloads })).toBeUndefined();
  });
});
