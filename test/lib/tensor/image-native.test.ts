/** Native code refuses what lib/ would never pass: a mistake in lib/ is an error and never a crash. */
import { binding } from '../../../lib/binding';
import type { ImageFormat, TensorArg } from '../../../lib/native-interface';
import { expectThrow } from '../formats/support';

const FLOAT32 = 6;
const UINT8 = 0;

function picture(height: number, width: number, channels: number): TensorArg {
  return {
    storage: new Uint8Array(height * width * channels),
    dtype: UINT8,
    shape: [height, width, channels],
    strides: [width * channels, channels, 1],
    offset: 0,
  };
}

const format: ImageFormat = { dtype: FLOAT32, channelsLast: false, bicubic: false, height: 2, width: 2 };
const none = new Float32Array(0);

test.each<[string, TensorArg[], number[][], Float32Array, ImageFormat, string]>([
  ['no pictures', [], [], none, format, 'at least one input'],
  ['no geometry', [picture(4, 4, 3)], [], none, format, 'size of each picture'],
  ['three sizes', [picture(4, 4, 3)], [[4, 4, 0]], none, format, 'four sizes'],
  ['a part beyond the right', [picture(4, 4, 3)], [[4, 4, 0, 3]], none, format, 'inside the resized'],
  ['a part beyond the bottom', [picture(4, 4, 3)], [[3, 4, 2, 0]], none, format, 'inside the resized'],
  ['no pixels', [picture(0, 4, 3)], [[4, 4, 0, 0]], none, format, 'inside the resized'],
  ['five channels', [picture(4, 4, 5)], [[4, 4, 0, 0]], none, format, '1 to 4 channels'],
  [
    'two dimensions',
    [{ ...picture(4, 4, 1), shape: [4, 4], strides: [4, 1] }],
    [[4, 4, 0, 0]],
    none,
    format,
    'uint8',
  ],
  ['gaps', [{ ...picture(4, 4, 3), shape: [2, 2, 3] }], [[2, 2, 0, 0]], none, format, 'contiguous'],
  [
    'floats',
    [{ ...picture(2, 2, 4), dtype: FLOAT32, shape: [1, 2, 2], strides: [4, 2, 1] }],
    [[1, 2, 0, 0]],
    none,
    format,
    'uint8',
  ],
  [
    'short memory',
    [{ ...picture(4, 4, 3), storage: new Uint8Array(47) }],
    [[4, 4, 0, 0]],
    none,
    format,
    'memory',
  ],
  ['two means', [picture(4, 4, 3)], [[4, 4, 0, 0]], new Float32Array(4), format, 'for each colour'],
  [
    'unequal colours',
    [picture(4, 4, 3), picture(4, 4, 1)],
    [
      [4, 4, 0, 0],
      [4, 4, 0, 0],
    ],
    none,
    format,
    'equal colours',
  ],
  [
    'an integer dtype',
    [picture(4, 4, 3)],
    [[4, 4, 0, 0]],
    none,
    { ...format, dtype: UINT8 },
    'floating dtype',
  ],
  ['a size of 0', [picture(4, 4, 3)], [[4, 4, 0, 0]], none, { ...format, width: 0 }, 'at least 1'],
  [
    'sizes that overflow',
    [picture(4, 4, 3)],
    [[4, 4, 0, 0]],
    none,
    { ...format, width: 2 ** 52, height: 2 ** 52 },
    'fewer pixels',
  ],
])('imagesToTensor refuses %s', (_, pictures, geometries, normalization, wanted, message) => {
  const run = () => binding().imagesToTensorSync(pictures, geometries, normalization, wanted);
  expect(run).toThrow(message);
  expect(run).toThrow(expect.objectContaining({ name: 'TokenLearnerError' }) as Error);
});

test('tensorToImage refuses a target of another length, and other shapes', () => {
  const tensor = { ...picture(1, 2, 2), storage: new Float32Array(4), dtype: FLOAT32 };
  const target = (length: number) => new Uint8ClampedArray(length);
  expectThrow(
    () => {
      binding().tensorToImage(tensor, none, target(3));
    },
    'ERR_SHAPE_MISMATCH',
    'one byte',
  );
  expectThrow(
    () => {
      binding().tensorToImage(tensor, new Float32Array(4), target(4));
    },
    'ERR_INVALID_ARG_VALUE',
    'each colour',
  );
  const two = { ...tensor, shape: [2, 1, 2], strides: [2, 2, 1] };
  expectThrow(
    () => {
      binding().tensorToImage(two, none, target(4));
    },
    'ERR_INVALID_ARG_VALUE',
    '1 or 3 colours',
  );
});
