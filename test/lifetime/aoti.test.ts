import { describeWithPrograms } from '../lib/aoti/programs';
import { resultOf } from './run';

/** The C library gives free memory back at once: else it keeps up to 100 MB between outputs that are not collected yet. */
const MALLOC = { MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '131072' };

describeWithPrograms('the life of an AotiModel', ['conv', 'vit'], (programs) => {
  test('memory is level over 5,000 forwards, 200 loads and 200 sets of weights', async () => {
    const { file } = programs().conv;
    const megabytes = (await resultOf('aoti-memory', [file], ['--expose-gc'], MALLOC)) as number[];
    // Each output has 20 KB, each program some 300 KB.
    const [start = 0, ...later] = megabytes;
    for (const each of later) expect(each - start).toBeLessThan(40);
  });

  test.each(['return', 'exit', 'throw', 'worker'])('the process ends cleanly in mid-run: %s', async (how) => {
    expect(await resultOf('aoti-exit', [programs().vit.file, how])).toBe('ended');
  });
});
