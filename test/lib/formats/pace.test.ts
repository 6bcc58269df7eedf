import { Pace } from '../../../lib/formats/pace';

function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test('work that took long gives way to what waits', async () => {
  const pace = new Pace();
  const others: string[] = [];
  setImmediate(() => others.push('immediate'));
  setTimeout(() => others.push('timer'), 0);
  busy(30);
  await pace.pause();
  expect(others).toContain('immediate');
});

test('work that has just begun goes on', async () => {
  let gaveWay = false;
  setImmediate(() => {
    gaveWay = true;
  });
  jest.spyOn(performance, 'now').mockReturnValue(0);
  const pace = new Pace();
  for (let i = 0; i < 100; i += 1) await pace.pause();
  jest.restoreAllMocks();
  expect(gaveWay).toBe(false);
});
