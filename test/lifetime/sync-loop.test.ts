import { resultOf } from './run';

// 128 kB each: 1.5 GB in total. During the first half memory may grow, by what waits for the event loop and by garbage.
const COUNT = 12_000;
const ONE_IN_TEN = 128;

describe.each(['main', 'worker'])('in the %s thread, a loop that never yields', (where) => {
  test.each([
    'results',
    'results of libtorch',
    'inputs',
    'disposed',
    'views',
    'copies',
    'from numbers',
    'detached',
    'modules',
  ])(
    'reads data of %s and keeps nothing: resident memory levels off',
    async (what) => {
      const [, second = 0, , fourth = Infinity] = (await resultOf('sync-loop', [
        what,
        COUNT,
        where,
      ])) as number[];
      expect(fourth - second).toBeLessThan(ONE_IN_TEN);
      expect(fourth).toBeLessThan(800);
    },
    120_000,
  );

  test.each(['small results', 'small results, unread', 'empty tensors', 'small modules'])(
    'creates %s: resident memory levels off',
    async (what) => {
      // If 1 kB of each leaked, the second half would add 75 MB.
      const [, second = 0, , fourth = Infinity] = (await resultOf('sync-loop', [
        what,
        150_000,
        where,
      ])) as number[];
      expect(fourth - second).toBeLessThan(40);
    },
    120_000,
  );
});
