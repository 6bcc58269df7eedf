import { inspect } from 'node:util';
import { type AnyTensor, type DType, runtime, Tensor } from '../../../lib';
import { DTYPES, dtypeInfo } from '../../../lib/dtype';
import { expectThrow } from '../formats/support';
import { call } from './fixtures';
import { elementsOf } from '../support';

const SIX = [1, 2, 3, 4, 5, 6];

/** A tensor of 1 to 6 in a dtype, of shape (2, 3). */
const six = (dtype: DType): AnyTensor => Tensor.from(SIX, [2, 3]).to<DType>(dtype);
const array = (dtype: DType, length: number): Float32Array =>
  new (dtypeInfo(dtype).array)(
    new ArrayBuffer(length * dtypeInfo(dtype).itemSize),
  ) as unknown as Float32Array;

describe.each(DTYPES)('%s', (dtype) => {
  test('copyTo copies the elements row by row, for any strides, and returns its target', () => {
    const tensor = six(dtype);
    const target = array(dtype, 6);
    expect(tensor.transpose(0, 1).copyTo(target as never)).toBe(target);
    expect([...target]).toEqual(elementsOf(tensor.transpose(0, 1).contiguous()));
  });

  test('copyFrom copies elements into a view', () => {
    const source = six(dtype).copyTo(array(dtype, 6) as never);
    const tensor = Tensor.zeros([6], { dtype });
    expect(tensor.reshape([3, 2]).copyFrom(source).shape).toEqual([3, 2]);
    expect(elementsOf(tensor)).toEqual([...source]);
  });
});

test('neither shows the memory to JavaScript, so dispose frees it', () => {
  const before = runtime.memory();
  const tensor = Tensor.empty([3]).copyFrom(Float32Array.of(1, 2, 3));
  expect([...tensor.copyTo(new Float32Array(3))]).toEqual([1, 2, 3]);
  tensor.dispose();
  expect(runtime.memory()).toEqual(before);
});

test('the target may be part of a larger buffer, or the tensor’s own memory', () => {
  const target = new Float32Array(5);
  Tensor.from([1, 2]).copyTo(target.subarray(2, 4));
  expect([...target]).toEqual([0, 0, 1, 2, 0]);
  const tensor = Tensor.from([1, 2]);
  tensor.copyTo(tensor.data);
  expect([...tensor.data]).toEqual([1, 2]);
});

test.each([
  ['no array', 3, 'ERR_INVALID_ARG_TYPE', 'Float32Array'],
  ['a plain array', [1, 2, 3], 'ERR_INVALID_ARG_TYPE', 'Float32Array'],
  ['a DataView', new DataView(new ArrayBuffer(12)), 'ERR_INVALID_ARG_TYPE', 'Float32Array'],
  ['another type', new Float64Array(3), 'ERR_DTYPE_MISMATCH', 'Float32Array'],
  ['too few elements', new Float32Array(2), 'ERR_SHAPE_MISMATCH', '3 elements'],
  ['too many elements', new Float32Array(4), 'ERR_SHAPE_MISMATCH', '3 elements'],
  [
    'shared memory',
    new Float32Array(new SharedArrayBuffer(12)),
    'ERR_UNSUPPORTED_BUFFER',
    'SharedArrayBuffer',
  ],
] as const)('%s is refused', (_, wrong, code, message) => {
  const tensor = Tensor.zeros([3]);
  expectThrow(() => tensor.copyTo(wrong as never), code, message);
  expectThrow(() => tensor.copyFrom(wrong as never), code, message);
});

test('a detached array, a disposed tensor and a strided one are refused', () => {
  const gone = new Float32Array(3);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const tensor = Tensor.zeros([3]);
  expectThrow(() => tensor.copyTo(gone), 'ERR_DETACHED', 'detached');
  expectThrow(() => tensor.copyFrom(gone), 'ERR_DETACHED', 'detached');
  expectThrow(
    () => Tensor.zeros([2, 3]).transpose(0, 1).copyFrom(new Float32Array(6)),
    'ERR_NOT_CONTIGUOUS',
    'contiguous()',
  );
  tensor.dispose();
  expectThrow(() => tensor.copyTo(new Float32Array(3)), 'ERR_DISPOSED', 'disposed');
  expectThrow(() => tensor.copyFrom(new Float32Array(3)), 'ERR_DISPOSED', 'disposed');
});

describe('detachBuffer', () => {
  const floats = (buffer: ArrayBuffer): number[] => [...new Float32Array(buffer)];

  test('moves the elements out and disposes the tensor', () => {
    const tensor = Tensor.from([1, 2, 3]);
    const buffer = tensor.detachBuffer();
    expect(floats(buffer)).toEqual([1, 2, 3]);
    expect(tensor.disposed).toBe(true);
    expect(floats(structuredClone(buffer, { transfer: [buffer] }))).toEqual([1, 2, 3]);
    expectThrow(() => tensor.detachBuffer(), 'ERR_DISPOSED', 'disposed');
  });

  test('works for data that was read, strided tensors, parts of a storage, and empty tensors', () => {
    const read = Tensor.from([1, 2]);
    read.data[0] = 5;
    expect(floats(read.detachBuffer())).toEqual([5, 2]);
    expect(floats(Tensor.from(SIX, [2, 3]).transpose(0, 1).detachBuffer())).toEqual([1, 4, 2, 5, 3, 6]);
    expect(Tensor.zeros([0, 3]).detachBuffer().byteLength).toBe(0);
  });

  test('never takes a caller’s own array', () => {
    const mine = Float32Array.of(1, 2);
    expect(floats(Tensor.from(mine).detachBuffer())).toEqual([1, 2]);
    expect([...mine]).toEqual([1, 2]);
  });
});

test('printing and filling a tensor do not show its memory to JavaScript', () => {
  const before = runtime.memory();
  const tensors = [Tensor.full([3], 2), Tensor.ones([3], { dtype: 'float16' }), Tensor.from([1, 2])];
  expect(tensors.map((tensor) => inspect(tensor))).toEqual([
    'tensor([2., 2., 2.])',
    'tensor([1., 1., 1.], dtype=torch.float16)',
    'tensor([1., 2.])',
  ]);
  for (const tensor of tensors) tensor.dispose();
  expect(runtime.memory()).toEqual(before);
});

test('every method that creates tensors takes pinned', () => {
  const shape = [4];
  const dtypes = ['float32', 'float16'] as const;
  for (const dtype of dtypes) {
    for (const method of ['empty', 'zeros', 'ones', 'randn'] as const) {
      expect(call(Tensor, method, [shape, { dtype, pinned: true }]).dtype).toBe(dtype);
    }
    expect(Tensor.full(shape, 2, { dtype, pinned: true }).to('float32').data[0]).toBe(2);
  }
});
