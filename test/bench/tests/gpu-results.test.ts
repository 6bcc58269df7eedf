import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluate } from './evaluate';
import { REPORTS } from './gpu-sample';

const combine = (reports: object): unknown =>
  evaluate('gpu-results', `it.combineReports(${JSON.stringify(reports)})`);

describe('combineReports', () => {
  it('keeps the card, the versions and the commit beside the times', () => {
    expect(combine(REPORTS)).toMatchObject({
      card: 'Made-up Card (1 GB)',
      computeCapability: '9.0',
      driver: '580.1',
      libtorch: '2.11.0',
      commit: 'abc',
      versions: { torch: '2.11.0+cu130', cuda: '13.0', node: 'v20' },
      rows: REPORTS.bench.bench.rows,
      compileRows: REPORTS.compile.bench.rows,
      checks: { parity: 3, faults: 3, server: 3, programs: 3 },
      host: REPORTS.bench.bench.host,
      batcher: [],
      serve: [],
      kernels: [],
    });
  });

  it('needs no run of torch.compile', () => {
    expect(combine({ ...REPORTS, compile: undefined })).toMatchObject({ compileRows: [] });
  });

  it.each([
    ['parity.json is missing', { parity: undefined }],
    ['programs.json is missing', { programs: undefined }],
    ['faults.json has failures, such as x', { faults: { ...REPORTS.faults, failures: [{ name: 'x' }] } }],
    ['parity.json is a trial on the CPU', { parity: { ...REPORTS.parity, device: 'cpu' } }],
    ['bench.json is of a run that was cut short', { bench: { ...REPORTS.bench, finished: false } }],
    ['not of one card and commit', { parity: { ...REPORTS.parity, commit: 'def' } }],
    [
      'bench.json lacks cifar float16',
      { bench: { ...REPORTS.bench, bench: { ...REPORTS.bench.bench, left: ['cifar float16'] } } },
    ],
  ])('refuses reports where %s', (message, change) => {
    expect(() => combine({ ...REPORTS, ...change })).toThrow(message);
  });
});

describe('files', () => {
  it('are named after the card', () => {
    expect(evaluate('gpu-results', "it.baseNameOf('NVIDIA H100 80GB HBM3')")).toBe(
      'gpu-nvidia-h100-80gb-hbm3',
    );
    expect(evaluate('gpu-results', "it.baseNameOf('Made-up Card (1 GB)')")).toBe('gpu-made-up-card-1-gb');
  });

  it('are read from one folder', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'gpu-results-'));
    writeFileSync(path.join(folder, 'bench.json'), '{"a":1}');
    writeFileSync(path.join(folder, 'serve-cuda.json'), '{"workloads":[]}');
    writeFileSync(path.join(folder, 'kernels.jsonl'), '{"ms":1}\n{"ms":2}\n');
    const found = evaluate('gpu-results', `it.readFolder(${JSON.stringify(folder)})`);
    rmSync(folder, { recursive: true });
    expect(found).toEqual({
      reports: { bench: { a: 1 } },
      times: { serve: { workloads: [] }, kernels: [{ ms: 1 }, { ms: 2 }] },
    });
  });

  it('are found beside those of the CPU', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'gpu-results-'));
    for (const name of ['gpu-b.json', 'gpu-a.json', 'cpu.json', 'gpu-a.svg'])
      writeFileSync(path.join(folder, name), JSON.stringify({ card: name }));
    const found = evaluate('gpu-results', `it.readGpuResults(${JSON.stringify(folder)})`);
    rmSync(folder, { recursive: true });
    expect(found).toEqual([{ card: 'gpu-a.json' }, { card: 'gpu-b.json' }]);
    expect(evaluate('gpu-results', `it.readGpuResults(${JSON.stringify(folder)})`)).toEqual([]);
  });
});
