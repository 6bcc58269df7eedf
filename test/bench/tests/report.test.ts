import { evaluate } from './evaluate';
import { SAMPLE } from './sample';

const markdown = evaluate('report', `it.toMarkdown(${JSON.stringify(SAMPLE)})`) as string;

describe('toMarkdown', () => {
  it('gives our time and the ratios of the others', () => {
    expect(markdown).toContain('| doc-1 (1×64×32×32) | **2.00** | 8.00 (4.00×) | 4.00 (2.00×) |');
    expect(markdown).toContain('| doc-2 (2×128×64×64) | **100** | 900 (9.00×) |');
  });

  it('gives memory in all and above the libraries', () => {
    expect(markdown).toContain('| doc-1 (1×64×32×32) | 200 (+20) |');
  });

  it('says what was missed', () => {
    expect(markdown).toContain('| **60 µs** | at most 50 µs (missed) |');
  });
});

describe('toTerminal', () => {
  it('aligns the columns', () => {
    const lines = (evaluate('report', `it.toTerminal(${JSON.stringify(SAMPLE)})`) as string).split('\n');
    const table = lines.filter((line) => /^(?:workload|doc-)/.test(line)).slice(0, 3);
    expect(new Set(table.map((line) => line.length)).size).toBe(1);
  });
});

describe('the pages', () => {
  it('show the published results', () => {
    expect(evaluate('write-results', 'it.arePagesCurrent()')).toBe(true);
  });

  it('keep their text when the results change', () => {
    const page =
      'before\n<!-- results: written by npm run bench -->\nlast year\n<!-- end of results -->\nafter\n';
    const changed = evaluate(
      'write-results',
      `it.intoPage(${JSON.stringify(page)}, ${JSON.stringify(SAMPLE)}, [])`,
    );
    expect(changed).toMatch(/^before\n/);
    expect(changed).toMatch(/\nafter\n$/);
    expect(changed).not.toContain('last year');
    expect(changed).toContain(markdown);
  });
});
