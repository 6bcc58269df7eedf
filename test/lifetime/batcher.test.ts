import { resultOf, runScript } from './run';

test('workers are terminated with queued and running requests', async () => {
  expect(await resultOf('batcher-workers', [12])).toBe(12);
});

test.each([0, 1, 5, 30, 100])('process.exit() %d ms after requests start ends cleanly', async (delay) => {
  expect(await runScript('batcher-exit', ['exit', delay])).toEqual({
    code: 7,
    signal: null,
    stdout: '',
    stderr: '',
  });
});

test('a process waits for the requests of a batcher, then ends by itself', async () => {
  expect(await resultOf('batcher-exit', ['wait', 0])).toBe(6);
});

test('the requests of a batcher that nobody else holds are settled', async () => {
  expect(await resultOf('batcher-exit', ['garbage', 0], ['--expose-gc'])).toBe(6);
});

test('collected batchers end their threads', async () => {
  const [before, after] = (await resultOf('batcher-garbage', [], ['--expose-gc'])) as [number, number];
  expect(after - before).toBeLessThan(20);
});
