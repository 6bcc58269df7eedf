import { describeWithPrograms } from '../lib/aoti/programs';
import { resultOf } from './run';

describeWithPrograms('the life of an AotiModel', ['conv', 'vit'], (programs) => {
  test('memory is level over 5,000 forwards, 200 loads and 200 sets of weights', async () => {
    const { file } = programs().conv;
    const megabytes = (await resultOf('aoti-memory', [file], ['--expose-gc'])) as number[];
    // Each output has 20 KB, each program some 300 KB.
    const [start = 0, ...later] = megabytes;
    for (const each of later) expect(each - start).toBeLessThan(40);
  }, 300_000);

  test.each(['return', 'exit', 'throw', 'worker'])('the process ends cleanly in mid-run: %s', async (how) => {
    expect(await resultOf('aoti-exit', [programs().vit.file, how])).toBe('ended');
  });
});
