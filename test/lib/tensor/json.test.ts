import { type AnyTensor, type DType, Tensor } from '../../../lib';
import { DTYPES } from '../../../lib/dtype';
import { expectThrow } from '../formats/support';

const parsed = (tensor: AnyTensor): unknown => JSON.parse(JSON.stringify(tensor));
const back = (tensor: AnyTensor): AnyTensor => Tensor.from(parsed(tensor) as ReturnType<AnyTensor['toJSON']>);
const bytes = (tensor: AnyTensor): number[] => [...new Uint8Array(tensor.clone().detachBuffer())];

describe('JSON', () => {
  test('has the dtype, the shape and nested elements', () => {
    expect(parsed(Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]))).toEqual({
      dtype: 'float32',
      shape: [2, 3],
      data: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    });
    expect(parsed(Tensor.from(2.5))).toEqual({ dtype: 'float32', shape: [], data: 2.5 });
    expect(parsed(Tensor.zeros([2, 0, 3]))).toEqual({ dtype: 'float32', shape: [2, 0, 3], data: [[], []] });
    expect(JSON.stringify({ tensor: Tensor.from([true], [1], { dtype: 'bool' }) })).toBe(
      '{"tensor":{"dtype":"bool","shape":[1],"data":[true]}}',
    );
  });

  test('writes strings for values that JSON has no numbers for', () => {
    const wide = Tensor.from(BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), 0n));
    expect(wide.toJSON().data).toEqual(['9223372036854775807', '-9223372036854775808', '0']);
    for (const dtype of ['float32', 'float64', 'float16', 'bfloat16'] as const) {
      const odd = Tensor.from([NaN, Infinity, -Infinity, 1.5], [4], { dtype });
      expect(odd.toJSON().data).toEqual(['NaN', 'Infinity', '-Infinity', 1.5]);
    }
  });

  test.each(DTYPES)('of %s comes back bit for bit', (dtype) => {
    const tensor = Tensor.from([0, 1, 2, 3, 200, 7], [3, 2]).to<DType>(dtype);
    expect(back(tensor)).toMatchObject({ dtype, shape: [3, 2] });
    expect(bytes(back(tensor))).toEqual(bytes(tensor));
    expect(bytes(back(tensor.transpose(0, 1)))).toEqual(bytes(tensor.transpose(0, 1)));
  });

  test('of random numbers, without dimensions and without elements comes back', () => {
    const random = Tensor.randn([2, 3, 4]);
    expect(bytes(back(random))).toEqual(bytes(random));
    for (const shape of [[], [0], [2, 0, 3], [1, 1]]) {
      expect(back(Tensor.ones(shape)).shape).toEqual(shape);
    }
  });
});

describe('from nested arrays', () => {
  test('takes their shape, or another shape with the same number of elements', () => {
    const rows = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    expect(Tensor.from(rows).shape).toEqual([2, 3]);
    expect([...Tensor.from(rows, [3, 2]).data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(Tensor.from([[[]], [[]]]).shape).toEqual([2, 1, 0]);
    expect(Tensor.from(7n, undefined, { dtype: 'int64' }).shape).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ['rows of unequal lengths', [[1, 2], [3]], 'equal lengths'],
    ['a number among rows', [[1, 2], 3], 'equal lengths'],
    ['a row among numbers', [1, [2, 3]], 'equal depths'],
    ['one level more in a later row', [[1], [[2]]], 'equal depths'],
  ])('refuses %s', (_, data, message) => {
    expectThrow(() => Tensor.from(data as number[]), 'ERR_SHAPE_MISMATCH', message);
  });

  test('refuses elements that are not numbers, cyclic arrays, and extra arguments or keys', () => {
    const endless: unknown[] = [];
    endless.push(endless);
    expectThrow(() => Tensor.from(endless as number[]), 'ERR_OUT_OF_RANGE', '64 levels');
    expectThrow(() => Tensor.from(['1']), 'ERR_INVALID_ARG_TYPE', 'a number');
    expectThrow(() => Tensor.from(['1e5'], [1], { dtype: 'int64' }), 'ERR_INVALID_ARG_TYPE', 'integer');
    const json = Tensor.ones([2]).toJSON();
    expectThrow(() => Tensor.from(json as never, [2]), 'ERR_INVALID_ARG_VALUE', 'has its own');
    expectThrow(() => Tensor.from({ ...json, device: 'cpu' } as never), 'ERR_INVALID_ARG_VALUE', 'device');
    expectThrow(() => Tensor.from({ ...json, shape: [3] }), 'ERR_SHAPE_MISMATCH', '3 elements');
    expectThrow(() => Tensor.from({ ...json, dtype: 'float8' } as never), 'ERR_INVALID_ARG_VALUE', 'dtype');
  });
});
