import { evaluate } from './evaluate';
import { REPORTS, TIMES } from './gpu-sample';
import { SAMPLE } from './sample';

const results = evaluate(
  'gpu-results',
  `it.combineReports(${JSON.stringify(REPORTS)}, ${JSON.stringify(TIMES)})`,
);
const text = JSON.stringify(results);
const markdown = evaluate('gpu-report', `it.gpuMarkdown(${text})`) as string;

describe('gpuMarkdown', () => {
  it('names the card, the driver, libtorch and the commit', () => {
    expect(markdown).toContain('### Made-up Card (1 GB)');
    expect(markdown).toContain('driver 580.1, CUDA 13.0');
    expect(markdown).toContain('libtorch 2.11.0');
    expect(markdown).toContain('commit abc');
  });

  it('compares latency with latency and throughput with throughput', () => {
    expect(markdown).toContain(
      '| vit-b bfloat16 | 2.50 | **2.00** | 8.00 (4.00×) | 8.00 (4.00×) | 1.00 (0.50×) ' +
        '| **1.00** | 6.00 (6.00×) | 7.00 (7.00×) | 0.500 (0.50×) | 123.4 | 50 |',
    );
  });

  it('has the geometric means of eager by fused, by precision', () => {
    expect(markdown).toContain('| float32 | 4.00× | 7.00× | 4.00× |');
    expect(markdown).toContain('| bfloat16 | 4.00× | 7.00× | 4.00× |');
  });

  it('has the latency from host to host, the batcher and the kernels, where they were measured', () => {
    expect(markdown).toContain('| doc-1 float32 | 70 | 27 |');
    expect(markdown).toContain('| cifar | 1000 | 95.5 |');
    expect(markdown).toContain('| cifar (1×128×8×8) | 20000 (4.0 ms) | 5000 (12.0 ms) |');
    expect(markdown).toContain('| doc-1 | 0.0150 (small, 9 TFLOP/s) | – |');
    expect(markdown).toContain('| vit-b | – | 0.3900 (wgmma, 607 TFLOP/s) |');
    expect(markdown).not.toContain('0.4430');
    const bare = { ...(results as object), host: [], batcher: [], serve: [], kernels: [] };
    const without = evaluate('gpu-report', `it.gpuMarkdown(${JSON.stringify(bare)})`) as string;
    for (const part of ['Microseconds from', 'The batcher', 'Answers per second', 'The kernels alone'])
      expect(without).not.toContain(part);
  });

  it('has torch.compile in a table of its own, if it was measured', () => {
    expect(markdown).toContain(
      '| vit-b bfloat16 | 2.50 | **2.00** | 5.00 (2.50×) | **1.00** | 3.00 (3.00×) |',
    );
    const without = evaluate('gpu-report', `it.gpuMarkdown({ ...${text}, compileRows: [] })`);
    expect(without).not.toContain('torch.compile');
  });
});

describe('gpuChart', () => {
  it('shows the throughput in bfloat16', () => {
    const svg = evaluate('gpu-report', `it.gpuChart(${text})`) as string;
    expect(svg).toContain('bfloat16, 8 forwards at a time, Made-up Card (1 GB)');
    expect(svg.match(/>7\.00×</g)).toHaveLength(2);
    expect(svg).toContain('32×768×14×14');
  });
});

describe('the pages', () => {
  const readme = 'before\n\n![CPU](test/bench/results/cpu.svg)\n\nafter\n';
  const image = 'on Made-up Card (1 GB)](test/bench/results/gpu-made-up-card-1-gb.svg)';

  it('README.md has the chart once, and loses it with the results', () => {
    const added = evaluate('gpu-report', `it.intoReadme(${JSON.stringify(readme)}, [${text}])`) as string;
    expect(added).toContain(image);
    expect(evaluate('gpu-report', `it.intoReadme(${JSON.stringify(added)}, [${text}])`)).toBe(added);
    expect(evaluate('gpu-report', `it.intoReadme(${JSON.stringify(added)}, [])`)).toBe(readme);
  });

  it('BENCHMARKS.md has a section for each card', () => {
    const page = '<!-- results: written by npm run bench -->\n<!-- end of results -->\n';
    const into = (gpus: string): string =>
      evaluate(
        'write-results',
        `it.intoPage(${JSON.stringify(page)}, ${JSON.stringify(SAMPLE)}, ${gpus})`,
      ) as string;
    expect(into(`[${text}]`)).toContain(markdown);
    expect(into(`[${text}]`).replace(`\n${markdown}`, '')).toBe(into('[]'));
  });
});
