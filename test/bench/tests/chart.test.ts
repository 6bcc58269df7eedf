import { evaluate } from './evaluate';
import { SAMPLE } from './sample';

const svg = evaluate('chart', `it.drawChart(${JSON.stringify(SAMPLE)})`) as string;

/** The widths of the bars of a style, in the order of the workloads. */
function widths(style: string): number[] {
  return [...svg.matchAll(new RegExp(`class="${style}" x="150" y="\\d+" width="([\\d.]+)"`, 'g'))].map(
    (found) => Number(found[1]),
  );
}

describe('drawChart', () => {
  it('draws bars as long as the ratios', () => {
    const [ours = 0, oursAgain = 0] = widths('ours');
    expect(oursAgain).toBe(ours);
    // Lengths are written to a tenth, so each of the two is off by half of that at most.
    const [first = 0, second = 0] = widths('d');
    expect(Math.abs(first - 4 * ours)).toBeLessThanOrEqual(0.05 * 5);
    expect(Math.abs(second - 9 * ours)).toBeLessThanOrEqual(0.05 * 10);
  });

  it('leaves out a contender that no workload has', () => {
    expect(widths('c')).toEqual([]);
    expect(svg).not.toContain('torch.compile');
  });

  it('has both colour schemes and escapes what it shows', () => {
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).toContain('Some &lt;CPU> &amp; more');
  });
});
