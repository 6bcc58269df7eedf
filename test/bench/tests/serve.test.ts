/** The serving benchmark: its figures, its chart, and one quick run of all of it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluate } from './evaluate';

const open = [
  { load: 0.5, goodput: 50 },
  { load: 3, goodput: 100 },
];
const SAMPLE = {
  machine: { cpu: 'Some <CPU> & more', cores: 2 },
  deadlineMs: 250,
  workloads: [
    {
      name: 'cifar',
      contenders: { batcher: { open }, grpc: { open: open.map((each) => ({ ...each, goodput: 20 })) } },
    },
    { name: 'doc-1', contenders: { batcher: { open } } },
  ],
};

it('counts goodput within the deadline, and quantiles of all answers', () => {
  const run = { latencies: [300, 10, 20, 30], rejected: 2, failed: 1, unsent: 0, seconds: 2 };
  expect(evaluate('serve/statistics', `it.summarise(${JSON.stringify(run)}, 250)`)).toEqual({
    throughput: 2,
    goodput: 1.5,
    p50Ms: 20,
    p99Ms: 300,
    answered: 4,
    rejected: 2,
    failed: 1,
    unsent: 0,
  });
  const none = { ...run, latencies: [] };
  expect(evaluate('serve/statistics', `it.summarise(${JSON.stringify(none)}, 250)`)).toMatchObject({
    goodput: 0,
    p50Ms: null,
  });
});

it('has arrivals of the wanted rate, the same in every run', () => {
  const times = evaluate('serve/statistics', '[...it.arrivals(100, 50, 1)]') as number[];
  expect(Math.abs(times.length - 5000)).toBeLessThan(300);
  expect(times.every((at, i) => at > (times[i - 1] ?? 0) && at < 50)).toBe(true);
  expect(evaluate('serve/statistics', '[...it.arrivals(100, 50, 1)]')).toEqual(times);
});

describe('the chart', () => {
  const svg = evaluate('serve/chart', `it.drawServeChart(${JSON.stringify(SAMPLE)})`) as string;

  it('draws a line for each contender that was measured, on one scale', () => {
    const lines = [...svg.matchAll(/<polyline class="line s(\d)" points="([^"]+)"/g)];
    expect(lines.map(([, series]) => series)).toEqual(['0', '2', '0']);
    const y = (points: string | undefined, i: number): number => Number(points?.split(' ')[i]?.split(',')[1]);
    const [first, second] = lines.map(([, , points]) => points);
    expect(y(first, 0) - y(first, 1)).toBeCloseTo(110, 1);
    expect(y(second, 0)).toBe(y(second, 1));
    expect(svg).not.toContain('onnxruntime');
  });

  it('keeps its texts within the drawing, and escapes them', () => {
    const [, width, height] = (/viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? []).map(Number) as [
      0,
      number,
      number,
    ];
    for (const [, x, y, rest = '', content = ''] of svg.matchAll(
      /<text x="([\d.]+)" y="([\d.]+)" ([^>]*)>([^\n]*)<\/text>/g,
    )) {
      const size = Number(/font-size="(\d+)"/.exec(rest)?.[1]);
      const length = content.replaceAll('&lt;', '<').replaceAll('&amp;', '&').length * size * 0.59;
      const [left, right] = rest.includes('end')
        ? [Number(x) - length, Number(x)]
        : rest.includes('middle')
          ? [Number(x) - length / 2, Number(x) + length / 2]
          : [Number(x), Number(x) + length];
      expect([left >= 0, right <= width, Number(y) < height]).toEqual([true, true, true]);
    }
    expect(svg).toContain('Some &lt;CPU> &amp; more');
  });
});

it('a quick run measures each contender in both loops', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-bench-serve-'));
  try {
    const program = path.resolve(__dirname, '..', 'serve', 'bench.mjs');
    execFileSync(process.execPath, [program, '--quick', '--output', folder], { stdio: 'pipe' });
    const { workloads } = JSON.parse(readFileSync(path.join(folder, 'serve-cpu.json'), 'utf8')) as {
      workloads: { contenders: Record<string, Record<string, unknown>> }[];
    };
    const number = expect.any(Number) as number;
    const known = { goodput: number, rejected: number, failed: number, eventLoopP99Ms: number };
    const figures = expect.objectContaining(known) as object;
    // Without overload, all requests are answered.
    const answered = expect.objectContaining({ ...known, failed: 0, rejected: 0 }) as object;
    for (const id of ['batcher', 'forward', 'http-binary', 'http-json', 'grpc'])
      expect([id, workloads[0]?.contenders[id]]).toEqual([
        id,
        { alone: answered, closed: answered, open: [figures, figures] },
      ]);
    expect(readFileSync(path.join(folder, 'serve-cpu.svg'), 'utf8')).toContain('</svg>');
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);
