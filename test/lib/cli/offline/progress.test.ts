import { duration, RunProgress } from '../../../../lib/cli/offline/progress';

function progress(
  isTTY: boolean,
  columns?: number,
): { show: (seconds: number, done: number, failed?: number) => string } {
  let text = '';
  let time = 0;
  const stream = { isTTY, ...(columns && { columns }), write: (more: string) => (text += more) };
  const shown = new RunProgress(stream, () => time);
  return {
    show(seconds, done, failed = 0) {
      text = '';
      time = 1000 * seconds;
      shown.show({ total: 200, written: done - failed, skipped: 0, failed });
      return text;
    },
  };
}

it('is a bar with rate and time left on a terminal', () => {
  const { show } = progress(true);
  expect(show(10, 50)).toBe(
    '\r[######------------------] 25 %  50 of 200 files, 5.0 files/s, 30 s left\u001b[K',
  );
  expect(show(10.01, 51)).toBe('');
  expect(show(40, 200, 2)).toBe(
    '\r[########################] 100 %  200 of 200 files, 2 failed, 5.0 files/s\u001b[K\n',
  );
});

it('fits the terminal: without the bar, or cut, where there is no room', () => {
  const [bar, text] = ['[######------------------] ', '25 %  50 of 200 files, 5.0 files/s, 30 s left'];
  const width = bar.length + text.length;
  expect(progress(true, width + 1).show(10, 50)).toBe(`\r${bar}${text}\u001b[K`);
  expect(progress(true, width).show(10, 50)).toBe(`\r${text}\u001b[K`);
  expect(progress(true, 11).show(10, 50)).toBe('\r25 %  50 o\u001b[K');
});

it('is a line for every tenth elsewhere', () => {
  const { show } = progress(false);
  expect(show(1, 19)).toBe('');
  expect(show(2, 20)).toBe('10 %  20 of 200 files, 10.0 files/s, 18 s left\n');
  expect(show(3, 21)).toBe('');
  expect(show(20, 200)).toBe('100 %  200 of 200 files, 10.0 files/s\n');
});

it('says times as people do', () => {
  expect([0, 59.4, 200, 3600, 7190, 7500].map(duration)).toEqual([
    '0 s',
    '59 s',
    '3 min 20 s',
    '1 h 0 min',
    '2 h 0 min',
    '2 h 5 min',
  ]);
});

it('does not count skipped files in the rate', () => {
  let text = '';
  let time = 0;
  const shown = new RunProgress({ write: (more: string) => (text += more) }, () => time);
  time = 10_000;
  shown.show({ total: 100, written: 10, skipped: 80, failed: 0 });
  expect(text).toBe('90 %  90 of 100 files, 1.0 files/s, 10 s left\n');
});
