import { type DType, manualSeed, Tensor, type TensorJSON } from '../../../lib';
import { expectThrow } from '../formats/support';
import { call, expectTensor, fixtures, inputOf } from './fixtures';

const named = <T extends { method: string; tensor?: TensorJSON; args?: unknown[] }>(
  rows: T[],
): [string, T][] =>
  rows.map((row) => [
    `${row.method}(${JSON.stringify(row.args ?? [])}) of ${row.tensor?.dtype ?? ''} [${String(row.tensor?.shape ?? '')}]`,
    row,
  ]);

describe('PyTorch’s results', () => {
  test.each(named(fixtures.operations))('%s', (_, row) => {
    expectTensor(call(inputOf(row), row.method, row.args), row.expected);
  });

  test.each(named(fixtures.topk))('%s', (_, row) => {
    const { values, indices } = inputOf(row).topk(...(row.args as [number]));
    expectTensor(values, row.expected);
    expectTensor(indices, row.indices);
    expect(values.isContiguous && indices.isContiguous).toBe(true);
  });

  test.each(fixtures.joins)(
    '$method along $dim of $expected.dtype $expected.shape',
    ({ method, tensors, dim, expected }) => {
      expectTensor(
        Tensor[method](
          tensors.map((json) => Tensor.from(json)),
          dim,
        ),
        expected,
      );
    },
  );

  test.each(fixtures.created)('$method($args)', ({ method, args, expected }) => {
    expectTensor(call(Tensor, method, args), expected);
  });

  test.each(fixtures.random)('rand after seed $seed in $expected.dtype', ({ seed, expected, next }) => {
    manualSeed(BigInt(seed));
    expectTensor(Tensor.rand(expected.shape, { dtype: expected.dtype as 'float32' }), expected);
    expectTensor(Tensor.rand([3]), next);
  });
});

describe('sum and mean', () => {
  test('of many numbers are exact where float32 accumulation is not', () => {
    const tensor = Tensor.full([2 ** 20], 0.1);
    expect(tensor.sum().item()).toBe(Math.fround(2 ** 20 * Math.fround(0.1)));
    const wide = Tensor.from([1e16, 1, 1, -1e16], undefined, { dtype: 'float64' });
    expect(wide.sum().item()).toBe(2);
    expect(Tensor.full([1e5], 1, { dtype: 'float16' }).mean().item()).toBe(1);
  });

  test('read views of part of the memory', () => {
    const tensor = Tensor.arange(24).reshape([2, 3, 4]);
    const part = tensor.slice(2, 1, 4, 2).select(1, 1);
    expect(part.toArray()).toEqual([
      [5n, 7n],
      [17n, 19n],
    ]);
    expect(part.sum(0).toArray()).toEqual([22n, 26n]);
  });

  test('refuse what PyTorch refuses', () => {
    expectThrow(() => Tensor.arange(3).mean(), 'ERR_DTYPE_MISMATCH', 'floating');
    expectThrow(() => Tensor.ones([2, 3]).sum([0, -2]), 'ERR_INVALID_ARG_VALUE', '`dim`');
    expectThrow(() => Tensor.ones([2, 3]).sum(2), 'ERR_OUT_OF_RANGE', '`dim`');
    expectThrow(() => Tensor.ones([2]).sum(0, 1 as never), 'ERR_INVALID_ARG_TYPE', '`keepdim`');
  });
});

describe('argmax, topk, softmax', () => {
  test('equal elements: the first one comes first', () => {
    const tensor = Tensor.from([2, 3, 3, 1, 3]);
    expect(tensor.argmax().item()).toBe(1n);
    expect(tensor.topk(3).indices.toArray()).toEqual([1n, 2n, 4n]);
  });

  test('refuse what PyTorch refuses', () => {
    const flags = Tensor.zeros([2], { dtype: 'bool' });
    expectThrow(() => flags.argmax(), 'ERR_DTYPE_MISMATCH', 'argmax');
    expectThrow(() => flags.topk(1), 'ERR_DTYPE_MISMATCH', 'topk');
    expectThrow(() => Tensor.arange(3).softmax(0), 'ERR_DTYPE_MISMATCH', 'softmax');
    expectThrow(() => Tensor.ones([0]).argmax(), 'ERR_SHAPE_MISMATCH', 'one element');
    expectThrow(() => Tensor.ones([2, 0]).argmax(1), 'ERR_SHAPE_MISMATCH', 'one element');
    expectThrow(() => Tensor.ones([3]).topk(4), 'ERR_OUT_OF_RANGE', '`k`');
    expectThrow(() => Tensor.ones([3]).softmax(undefined as never), 'ERR_INVALID_ARG_TYPE', '`dim`');
  });
});

describe('cat and stack', () => {
  test('read strided tensors and write new memory', () => {
    const a = Tensor.from([
      [1, 2],
      [3, 4],
    ]);
    const joined = Tensor.cat([a.T, a], 0);
    expect(joined.toArray()).toEqual([
      [1, 3],
      [2, 4],
      [1, 2],
      [3, 4],
    ]);
    joined.data[0] = 9;
    expect(a.data[0]).toBe(1);
    expect(Tensor.stack([a.T, a], 1).select(1, 0).toArray()).toEqual(a.T.toArray());
  });

  test('refuse tensors that do not fit', () => {
    const [a, b] = [Tensor.ones([2, 3]), Tensor.ones([3, 3])];
    for (const name of ['cat', 'stack'] as const) {
      const join = (tensors: Tensor[], dim?: number): Tensor => Tensor[name](tensors, dim);
      expectThrow(() => join([]), 'ERR_INVALID_ARG_TYPE', '`tensors`');
      expectThrow(() => join(a as never), 'ERR_INVALID_ARG_TYPE', '`tensors`');
      expectThrow(() => join([a, 1 as never]), 'ERR_INVALID_ARG_TYPE', '`tensors[1]`');
      expectThrow(() => join([a, a.to<DType>('float64') as never]), 'ERR_DTYPE_MISMATCH', '`tensors[1]`');
      expectThrow(() => join([a, b], 3), 'ERR_OUT_OF_RANGE', '`dim`');
    }
    expectThrow(() => Tensor.cat([a, b], 1), 'ERR_SHAPE_MISMATCH', '(2, 3)');
    expectThrow(() => Tensor.cat([a, a.flatten()]), 'ERR_SHAPE_MISMATCH', '`tensors[1]`');
    expectThrow(() => Tensor.cat([Tensor.full([], 1)]), 'ERR_SHAPE_MISMATCH', 'one dimension');
    expectThrow(() => Tensor.stack([a, b]), 'ERR_SHAPE_MISMATCH', '`tensors[1]`');
  });
});
