import { resultOf } from './run';

// 128 kB each: 800 MB in total. During the first half memory may grow, by what waits for the event loop and by garbage.
const COUNT = 6000;
const ALLOWED = 128;
const MANY = 150_000;
// On Node 24 and later their memory levels off after some 200,000.
const LATE = new Map([['small modules', Number.parseInt(process.versions.node, 10) < 24 ? MANY : 2 * MANY]]);
// The threads of libtorch wait for one another by spinning: with both cores busy that takes many times the work itself.
const ONE_THREAD = { OMP_NUM_THREADS: '1' };

async function growth(what: string, count: number, where: string) {
  const peaks = await resultOf('sync-loop', [what, count, where], [], ONE_THREAD);
  const [, second = 0, , fourth = Infinity] = peaks as number[];
  return { growth: fourth - second, peak: fourth };
}

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
  ])('reads data of %s and keeps nothing: resident memory levels off', async (what) => {
    const memory = await growth(what, COUNT, where);
    expect(memory.growth).toBeLessThan(ALLOWED);
    expect(memory.peak).toBeLessThan(800);
  });

  test.each(['small results', 'small results, unread', 'empty tensors', 'small modules'])(
    'creates %s: resident memory levels off',
    async (what) => {
      // If 1 kB of each leaked, the second half would add 75 MB.
      const memory = await growth(what, LATE.get(what) ?? MANY, where);
      expect(memory.growth).toBeLessThan(40);
    },
  );
});
