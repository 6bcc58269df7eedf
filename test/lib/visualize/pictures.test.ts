/** Pictures in the channels that are needed. */
import { Tensor } from '../../../lib';
import { readPicture, shown } from '../../../lib/visualize/pictures';

const read = async (data: number[], channels: number, grayscale: boolean): Promise<number[]> => {
  const source = { data: Uint8Array.from(data), width: 2, height: 1, channels };
  const { pixels } = await readPicture('input', source, grayscale);
  expect([pixels.width, pixels.height, pixels.channels]).toEqual([2, 1, grayscale ? 1 : 3]);
  return [...pixels.data];
};

it.each([
  ['grey', [10, 200], 1, [10, 10, 10, 200, 200, 200], [10, 200]],
  ['grey and alpha', [10, 0, 200, 9], 2, [10, 10, 10, 200, 200, 200], [10, 200]],
  // Pillow: round(0.299 * 255) and round(0.587 * 255).
  ['RGB', [255, 0, 0, 0, 255, 0], 3, [255, 0, 0, 0, 255, 0], [76, 150]],
  ['RGB and alpha', [255, 0, 0, 7, 0, 255, 0, 0], 4, [255, 0, 0, 0, 255, 0], [76, 150]],
] as const)('%s becomes RGB, or one channel', async (_, data, channels, rgb, grey) => {
  expect(await read([...data], channels, false)).toEqual(rgb);
  expect(await read([...data], channels, true)).toEqual(grey);
});

it('is the picture at the call, though the caller writes to it meanwhile', async () => {
  const data = Uint8Array.of(1, 2, 3);
  const reading = readPicture('input', { data, width: 1, height: 1 }, false);
  data.fill(9);
  expect([...(await reading).pixels.data]).toEqual([1, 2, 3]);
});

it('is shown in RGB', async () => {
  const pixels = { data: Uint8Array.of(5, 5, 5, 5), width: 2, height: 2, channels: 1 } as const;
  expect([...(await shown(pixels, {}, { width: 1, height: 2 }))]).toEqual([5, 5, 5, 5, 5, 5]);
});

it('leaves the event loop to others while a large one is converted', async () => {
  let [turns, isDone] = [0, false];
  const count = (): void => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  const { data } = Tensor.zeros([4096, 4096, 4], { dtype: 'uint8' });
  setImmediate(count);
  const { pixels } = await readPicture('input', { data, width: 4096, height: 4096, channels: 4 }, false);
  isDone = true;
  expect([pixels.data.length, turns > 0]).toEqual([4096 * 4096 * 3, true]);
});
