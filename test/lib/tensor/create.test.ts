import { type AnyTensor, type DType, Tensor } from '../../../lib';
import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from '../../../lib/formats/small-floats';
import { expectThrow } from '../formats/support';
import { elementsOf } from '../support';

describe('fromBuffer', () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => i);

  test('shares aligned memory', () => {
    const array = Float32Array.of(1, 2, 3, 4);
    const tensor = Tensor.fromBuffer(array.buffer, 'float32', [3], 4);
    expect(tensor.toArray()).toEqual([2, 3, 4]);
    array[1] = 9;
    expect(tensor.data[0]).toBe(9);
    expect(tensor.data.buffer).toBe(array.buffer);
    expect(Tensor.fromBuffer(array, 'float32').shape).toEqual([4]);
    expect(Tensor.fromBuffer(array.subarray(2), 'float32').toArray()).toEqual([3, 4]);
    expect(Tensor.fromBuffer(array, 'float32', [2, 1]).shape).toEqual([2, 1]);
  });

  test('copies memory that is not aligned', () => {
    const copy = bytes.slice();
    const tensor = Tensor.fromBuffer(new DataView(copy.buffer, 1), 'int32', [2], 2);
    expect(tensor.toArray()).toEqual([0x06050403, 0x0a090807]);
    copy.fill(0);
    expect(tensor.toArray()).toEqual([0x06050403, 0x0a090807]);
    expect(Tensor.fromBuffer(Buffer.from(bytes), 'uint8', undefined, 30).toArray()).toEqual([30, 31]);
  });

  test('refuses buffers that are too short, and what is no buffer', () => {
    expectThrow(() => Tensor.fromBuffer(bytes, 'float64', [5]), 'ERR_SHAPE_MISMATCH', '40 bytes');
    expectThrow(() => Tensor.fromBuffer(bytes, 'float64', [4], 1), 'ERR_SHAPE_MISMATCH', '31');
    expectThrow(
      () => Tensor.fromBuffer(bytes, 'float64', undefined, 1),
      'ERR_SHAPE_MISMATCH',
      'multiple of 8',
    );
    expectThrow(() => Tensor.fromBuffer(bytes, 'float64', undefined, 33), 'ERR_OUT_OF_RANGE', '`byteOffset`');
    expectThrow(() => Tensor.fromBuffer([1] as never, 'uint8'), 'ERR_INVALID_ARG_TYPE', '`buffer`');
    expectThrow(() => Tensor.fromBuffer(bytes, 'float8' as never), 'ERR_INVALID_ARG_VALUE', '`dtype`');
    expectThrow(
      () => Tensor.fromBuffer(new SharedArrayBuffer(4), 'uint8'),
      'ERR_UNSUPPORTED_BUFFER',
      '`buffer`',
    );
    const gone = new ArrayBuffer(8);
    structuredClone(gone, { transfer: [gone] });
    expectThrow(() => Tensor.fromBuffer(gone, 'uint8'), 'ERR_DETACHED', '`buffer`');
  });
});

test('a Uint8ClampedArray is uint8 memory', () => {
  const pixels = Uint8ClampedArray.of(0, 300, 7);
  const tensor: Tensor<'uint8'> = Tensor.from(pixels);
  expect(tensor.toArray()).toEqual([0, 255, 7]);
  expect(tensor.data.buffer).toBe(pixels.buffer);
  expect(Tensor.from(pixels, [3, 1]).shape).toEqual([3, 1]);
});

describe('arange, linspace, eye, rand', () => {
  test('options may follow any argument', () => {
    const half: Tensor<'float16'> = Tensor.arange(3, { dtype: 'float16' });
    expect(half.toArray()).toEqual([0, 1, 2]);
    expect(Tensor.arange(1, 3, { dtype: 'int32' }).toArray()).toEqual([1, 2]);
    expect(Tensor.eye(1, { dtype: 'bool' }).toArray()).toEqual([[true]]);
    expectThrow(() => Tensor.arange(1, {} as never, 3), 'ERR_INVALID_ARG_VALUE', '`options`');
    expectThrow(() => Tensor.arange(1, 2, null as never), 'ERR_INVALID_ARG_TYPE', '`step`');
    expectThrow(() => Tensor.eye(1, { type: 'bool' } as never), 'ERR_INVALID_ARG_VALUE', '`options`');
  });

  test('arange is exact for large integers', () => {
    expect(Tensor.arange(2n ** 62n, 2n ** 62n + 3n, 2).toArray()).toEqual([2n ** 62n, 2n ** 62n + 2n]);
  });

  test('every number of a sequence is the nearest of its dtype', () => {
    const tensor = Tensor.arange(0, 100, 0.1);
    expect(tensor.numel).toBe(1000);
    expect(tensor.data.every((value, i) => value === Math.fround(i * 0.1))).toBe(true);
  });

  test('linspace rounds each number of float64 once, as PyTorch does', () => {
    const line = Tensor.linspace(-1, 1, 1001, { dtype: 'float64' });
    expect([line.data[0], line.data[1000], line.data[500]]).toEqual([-1, 1, -2.0816681711721685e-17]);
    const [first, last] = [1e300, 1.7e308];
    const steep = Tensor.linspace(first, last, 3, { dtype: 'float64' }).toArray() as number[];
    expect(steep).toEqual([first, last - (last - first) / 2, last]);
  });

  test.each<[string, () => AnyTensor, 'ERR_OUT_OF_RANGE' | 'ERR_INVALID_ARG_VALUE' | 'ERR_INVALID_ARG_TYPE']>(
    [
      ['a step of 0', () => Tensor.arange(0, 1, 0), 'ERR_OUT_OF_RANGE'],
      ['a step away from the end', () => Tensor.arange(1, 0), 'ERR_OUT_OF_RANGE'],
      ['an endless range', () => Tensor.arange(Infinity), 'ERR_OUT_OF_RANGE'],
      ['too many numbers', () => Tensor.arange(0, 1e300, 1.5), 'ERR_OUT_OF_RANGE'],
      // @ts-expect-error -- the types say so too
      ['bool', () => Tensor.arange(2, { dtype: 'bool' }), 'ERR_INVALID_ARG_VALUE'],
      ['fractions of integers', () => Tensor.arange(0, 2, 0.5, { dtype: 'int32' }), 'ERR_INVALID_ARG_VALUE'],
      ['integers that do not fit', () => Tensor.arange(300, { dtype: 'uint8' }), 'ERR_OUT_OF_RANGE'],
      ['no number', () => Tensor.arange('3' as never), 'ERR_INVALID_ARG_TYPE'],
      ['a negative number of steps', () => Tensor.linspace(0, 1, -1), 'ERR_OUT_OF_RANGE'],
      ['a negative number of rows', () => Tensor.eye(-1), 'ERR_OUT_OF_RANGE'],
      // @ts-expect-error -- the types say so too
      ['a line of bool', () => Tensor.linspace(0, 1, 2, { dtype: 'bool' }), 'ERR_INVALID_ARG_VALUE'],
      // @ts-expect-error -- the types say so too
      ['random integers', () => Tensor.rand([1], { dtype: 'int32' }), 'ERR_INVALID_ARG_VALUE'],
    ],
  )('%s is refused', (_, use, code) => {
    expectThrow(use, code, /./);
  });
});

test.each<['float16' | 'bfloat16', (value: number) => number, (bits: number) => number]>([
  ['float16', toFloat16, fromFloat16],
  ['bfloat16', toBFloat16, fromBFloat16],
])('every %s comes back from its value, and rounding is that of libtorch', (dtype, to, from) => {
  const values = Array.from({ length: 2 ** 16 }, (_, bits) => from(bits));
  const wrong = values.filter((value, bits) => to(value) !== bits && !Number.isNaN(value));
  expect(wrong).toEqual([]);
  // Between neighbours, on the tie, and just beside it.
  const between = values.slice(0, 2 ** 15 - 1).flatMap((value, bits) => {
    const middle = (value + from(bits + 1)) / 2;
    return [middle, -middle, middle * (1 + 2 ** -20), middle * (1 - 2 ** -20)].map(Math.fround);
  });
  const finite = Float32Array.from(between.filter(Number.isFinite));
  const bits = elementsOf(Tensor.from(finite).to<DType>(dtype));
  expect(bits.every((expected, i) => to(finite[i] ?? 0) === expected)).toBe(true);
});
