import { Tensor } from '../../../lib';
import { typedArrayOf } from '../../../lib/tensor/typed-array';

jest.mock('../../../lib/tensor/typed-array', () => {
  const actual = jest.requireActual<typeof import('../../../lib/tensor/typed-array')>(
    '../../../lib/tensor/typed-array',
  );
  return { ...actual, typedArrayOf: jest.fn(actual.typedArrayOf) };
});

/** The lengths of the typed arrays that are made while `work` runs. No buffer is made in another way. */
function lengthsDuring(work: () => unknown): unknown[] {
  jest.mocked(typedArrayOf).mockClear();
  const others = jest.spyOn(globalThis, 'ArrayBuffer');
  try {
    work();
    expect(others).not.toHaveBeenCalled();
  } finally {
    others.mockRestore();
  }
  return jest.mocked(typedArrayOf).mock.calls.map(([length]) => length);
}

const a = Tensor.arange(6, { dtype: 'int32' }).reshape([2, 3]);
const b = Tensor.arange(6, 9, { dtype: 'int32' }).reshape([1, 3]);
const none = Tensor.zeros([0, 3], { dtype: 'int32' });

test('along the first dimension no buffer has to hold all elements', () => {
  expect(lengthsDuring(() => Tensor.cat([a, none, b, none]))).toEqual([6, 0, 3, 0]);
  expect(lengthsDuring(() => Tensor.stack([a, a]))).toEqual([6, 6]);
  expect(lengthsDuring(() => Tensor.cat([b, b], 1))).toEqual([3, 3]);
  expect(Tensor.cat([none, a, none, b, none]).toArray()).toEqual([
    [0, 1, 2],
    [3, 4, 5],
    [6, 7, 8],
  ]);
  expect(Tensor.cat([b, b], 1).toArray()).toEqual([[6, 7, 8, 6, 7, 8]]);
  expect(Tensor.stack([b, b]).toArray()).toEqual([[[6, 7, 8]], [[6, 7, 8]]]);
});

test('along other dimensions the buffer has the typed errors of all others', () => {
  expect(lengthsDuring(() => Tensor.cat([a, a], 1))).toEqual([2 * 6 * 4, 6, 6]);
  expect(Tensor.cat([a, a], 1).toArray()).toEqual([
    [0, 1, 2, 0, 1, 2],
    [3, 4, 5, 3, 4, 5],
  ]);
});

test('tensors without elements are not gone through', () => {
  const long = Tensor.zeros([1e7, 0]);
  expect(lengthsDuring(() => Tensor.cat([long, long], 1))).toEqual([]);
  expect(Tensor.cat([long, long], 1).shape).toEqual([1e7, 0]);
  expect(Tensor.cat([none, none]).shape).toEqual([0, 3]);
  expect(Tensor.stack([none, none], 1).shape).toEqual([0, 2, 3]);
  expect(Tensor.cat([Tensor.zeros([0]), Tensor.zeros([0])]).toArray()).toEqual([]);
});
