import { evaluate } from './evaluate';

describe('interleave', () => {
  it('runs every contender in each round, one at a time, and starts with another one each time', () => {
    const { order, overlaps, counts } = evaluate(
      'rounds',
      `await (async () => {
        const order = [];
        let running = 0;
        let overlaps = 0;
        const runner = (id) => ({
          id,
          async run(iterations) {
            if (++running > 1) overlaps++;
            order.push(id);
            await null;
            running--;
            return { times_ms: Array(iterations).fill(1000) };
          },
        });
        const results = await it.interleave(['a', 'b', 'c'].map(runner), { seconds: 0, minimumRounds: 3, maximumRounds: 9 });
        return { order: order.join(''), overlaps, counts: [...results.values()].map((times) => times.length) };
      })()`,
    ) as { order: string; overlaps: number; counts: number[] };
    expect(order).toBe('abc' + 'abc' + 'bca' + 'cab'); // the first three calibrate
    expect(overlaps).toBe(0);
    expect(counts).toEqual([3, 3, 3]);
  });

  it('repeats short runs within a block', () => {
    const iterations = evaluate(
      'rounds',
      `await (async () => {
        const asked = [];
        const run = async (n) => (asked.push(n), { times_ms: Array(n).fill(10) });
        await it.interleave([{ id: 'a', run }], { seconds: 0, minimumRounds: 1, maximumRounds: 1 });
        return asked;
      })()`,
    );
    expect(iterations).toEqual([1, 3, 15]);
  });
});
