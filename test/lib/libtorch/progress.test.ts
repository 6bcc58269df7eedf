import { progressRenderer } from '../../../lib/libtorch/progress';

/** The output of the renderer for a download of a megabyte in a hundred steps of 1 s. */
function render(isTTY: boolean): string[] {
  const written: string[] = [];
  let time = 0;
  const show = progressRenderer({ isTTY, write: (text: string) => written.push(text) }, () => time);
  for (let step = 0; step <= 100; step++) {
    show({ phase: 'download', done: step * 10_000, total: 1_000_000 });
    time += 1000;
  }
  return written;
}

describe('progressRenderer', () => {
  it('repaints one line on a terminal and ends it', () => {
    const written = render(true);
    expect(written.every((text) => text.startsWith('\r'))).toBe(true);
    expect(written[50]).toContain('[############------------] 50 %  0.5 MB of 1.0 MB 0.0 MB/s');
    expect(written.filter((text) => text.endsWith('\n'))).toHaveLength(1);
    expect(written.at(-1)).toContain('100 %');
  });

  it('writes eleven lines to a log', () => {
    const written = render(false);
    expect(written).toHaveLength(11);
    expect(written[1]).toBe('Downloading libtorch: 10 %, 0.1 MB of 1.0 MB\n');
  });

  it('starts again with the next phase', () => {
    const written: string[] = [];
    const show = progressRenderer({ write: (text: string) => written.push(text) });
    show({ phase: 'download', done: 1, total: 1 });
    show({ phase: 'unpack', done: 1, total: 1 });
    expect(written[1]).toMatch(/^Unpacking libtorch: 100 %/);
  });
});
