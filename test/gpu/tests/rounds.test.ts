import { evaluate } from './evaluate';

interface Measured {
  latencyMs: number;
  throughputMs: number;
  samples: number;
}

/** timeAll of contenders with these milliseconds a forward, and the order of their runs. */
function timeAll(
  milliseconds: Record<string, number>,
  budget: number,
): { order: string; times: Record<string, Measured> } {
  return evaluate(
    'rounds',
    `await (async () => {
      const order = [];
      const contender = ([id, ms]) => ({
        id,
        async run(iterations, queue) {
          order.push(id);
          return { latency_ms: Array(iterations).fill(ms), throughput_ms: Array(iterations).fill(ms / queue) };
        },
      });
      const contenders = Object.entries(${JSON.stringify(milliseconds)}).map(contender);
      const times = await it.timeAll(contenders, ${budget});
      return { order: order.join(''), times };
    })()`,
  ) as { order: string; times: Record<string, Measured> };
}

describe('timeAll', () => {
  it('takes the same number of samples of each contender, in turn', () => {
    const { order, times } = timeAll({ a: 1, b: 9 }, 8000);
    expect(order).toBe('ab' + 'ab' + 'ba' + 'ab' + 'ba' + 'ab'); // the first two calibrate
    expect(times).toEqual({
      a: { latencyMs: 1, throughputMs: 1 / 8, samples: 50 },
      b: { latencyMs: 9, throughputMs: 9 / 8, samples: 50 },
    });
  });

  it('takes fewer samples of all where one is slow, and at least one a round', () => {
    // A sample takes two milliseconds of a, since the queue takes as long as the one, and 198 of b.
    expect(timeAll({ a: 1, b: 99 }, 2000).times).toMatchObject({ a: { samples: 10 }, b: { samples: 10 } });
    expect(timeAll({ a: 1, b: 9e9 }, 2000).times).toMatchObject({ a: { samples: 5 }, b: { samples: 5 } });
  });
});
