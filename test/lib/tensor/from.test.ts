import { runInNewContext } from 'node:vm';
import { type DType, Tensor } from '../../../lib';
import { expectThrow } from '../formats/support';
import { elementsOf } from '../support';

/** Detaches a buffer by transferring it. */
function detach(array: { buffer: ArrayBufferLike }): void {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
}

describe('typed arrays', () => {
  test.each([
    [Float32Array.of(1, 2), 'float32'],
    [Float64Array.of(1, 2), 'float64'],
    [Uint16Array.of(1, 2), 'float16'],
    [Int32Array.of(1, 2), 'int32'],
    [BigInt64Array.of(1n, 2n), 'int64'],
    [Uint8Array.of(1, 2), 'uint8'],
    [Buffer.from([1, 2]), 'uint8'],
  ] as const)('%p is %s', (array, dtype) => {
    const tensor = Tensor.from<typeof array>(array);
    expect(tensor).toMatchObject({ dtype, shape: [2] });
    expect(tensor.data.buffer).toBe(array.buffer);
  });

  test('memory is shared in both directions', () => {
    const array = Float32Array.of(1, 2, 3, 4);
    const tensor = Tensor.from(array, [2, 2]);
    array[0] = 9;
    tensor.data[3] = 8;
    expect([...tensor.data]).toEqual([9, 2, 3, 8]);
    expect([...array]).toEqual([9, 2, 3, 8]);
  });

  test('a view into a larger buffer stays that view', () => {
    const whole = Float32Array.from({ length: 10 }, (_, i) => i);
    const tensor = Tensor.from(whole.subarray(3, 7), [2, 2]);
    expect([...tensor.data]).toEqual([3, 4, 5, 6]);
    expect([...tensor.transpose(0, 1).contiguous().data]).toEqual([3, 5, 4, 6]);
    expect([...tensor.to('float64').data]).toEqual([3, 4, 5, 6]);
  });

  test('bytes may start at an odd offset', () => {
    const tensor = Tensor.from(new Uint8Array(Uint8Array.of(9, 1, 2, 3).buffer, 1, 3));
    expect([...tensor.data]).toEqual([1, 2, 3]);
    expect([...tensor.to('float32').data]).toEqual([1, 2, 3]);
  });

  test('arrays of another realm are typed arrays too', () => {
    const foreign = runInNewContext('Float32Array.of(1, 2)') as Float32Array;
    expect(foreign).not.toBeInstanceOf(Float32Array);
    expect([...Tensor.from(foreign).data]).toEqual([1, 2]);
  });

  test('an option selects another dtype of the same typed array', () => {
    expect(Tensor.from(Uint16Array.of(0x3f80), [1], { dtype: 'bfloat16' }).to('float32').data[0]).toBe(1);
    expect([...Tensor.from(Uint8Array.of(0, 1), [2], { dtype: 'bool' }).to('float32').data]).toEqual([0, 1]);
  });

  test.each([
    [
      'a dtype of another array',
      () => Tensor.from(new Float32Array(2) as never, [2], { dtype: 'int32' }),
      'ERR_DTYPE_MISMATCH',
    ],
    [
      'a length that is not the shape’s',
      () => Tensor.from(new Float32Array(5), [2, 3]),
      'ERR_SHAPE_MISMATCH',
    ],
    ['an array without a dtype', () => Tensor.from(new Int8Array(2) as never), 'ERR_INVALID_ARG_TYPE'],
    ['a DataView', () => Tensor.from(new DataView(new ArrayBuffer(8)) as never), 'ERR_INVALID_ARG_TYPE'],
    ['an ArrayBuffer', () => Tensor.from(new ArrayBuffer(8) as never), 'ERR_INVALID_ARG_TYPE'],
    ['a Set', () => Tensor.from(new Set([1]) as never), 'ERR_INVALID_ARG_TYPE'],
    ['nothing', () => Tensor.from(undefined as never), 'ERR_INVALID_ARG_TYPE'],
    ['a device option', () => Tensor.from([1], [1], { device: 'cpu' } as never), 'ERR_INVALID_ARG_VALUE'],
  ] as const)('%s is refused', (_, make, code) => {
    expectThrow(make, code, /`(data|options)`/);
  });

  test('shared and resizable buffers are refused, and the message says what to do', () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    expectThrow(
      () => Tensor.from(shared),
      'ERR_UNSUPPORTED_BUFFER',
      'SharedArrayBuffer; pass a copy (data.slice())',
    );
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const resizable = new Float32Array(new Resizable(8, { maxByteLength: 16 }));
    expectThrow(() => Tensor.from(resizable), 'ERR_UNSUPPORTED_BUFFER', 'resizable ArrayBuffer');
    const fixed = new Float32Array(new Resizable(8, { maxByteLength: 16 }), 0, 1);
    expectThrow(() => Tensor.from(fixed), 'ERR_UNSUPPORTED_BUFFER', 'resizable ArrayBuffer');
  });

  test('a detached buffer is refused', () => {
    const array = new Float32Array(4);
    detach(array);
    expectThrow(() => Tensor.from(array, [4]), 'ERR_DETACHED', '`data`');
    expectThrow(() => Tensor.from(array), 'ERR_DETACHED', '`data`');
  });

  test('every use notices a buffer that was detached later', () => {
    const array = new Float32Array(4);
    const tensor = Tensor.from(array);
    const view = tensor.reshape([2, 2]);
    expect(tensor.data.length).toBe(4);
    detach(array);
    for (const use of [() => tensor.data, () => view.data, () => tensor.clone(), () => view.to('float64')]) {
      expectThrow(use, 'ERR_DETACHED', 'was detached');
    }
    expect(tensor.shape).toEqual([4]);
  });

  test('a subclass cannot lie about its length', () => {
    class Liar extends Float32Array {
      override get length(): number {
        return 1_000_000;
      }
      override get byteLength(): number {
        return 4_000_000;
      }
    }
    const liar = new Liar(4);
    expectThrow(() => Tensor.from(liar, [1_000_000]), 'ERR_SHAPE_MISMATCH', 'but received 4');
    Object.defineProperty(liar, 'byteOffset', { value: 1024 });
    expect(Tensor.from(liar, [4]).clone().data.length).toBe(4);
  });
});

describe('plain arrays', () => {
  test('are copied, as float32 by default', () => {
    const numbers = [1, 2.5, NaN];
    const tensor = Tensor.from(numbers);
    numbers[0] = 9;
    expect(tensor).toMatchObject({ dtype: 'float32', shape: [3] });
    expect([...tensor.data]).toEqual([1, 2.5, NaN]);
  });

  test.each([
    ['float64', [0.1], [0.1]],
    ['float16', [1], [0x3c00]],
    ['bfloat16', [1], [0x3f80]],
    ['int32', [-7], [-7]],
    ['int64', [7, 2n ** 60n], [7n, 2n ** 60n]],
    ['uint8', [255], [255]],
    ['bool', [0, 2, true], [0, 1, 1]],
  ] as const)('in %s', (dtype, numbers, elements) => {
    expect(elementsOf(Tensor.from<DType>(numbers, undefined, { dtype }))).toEqual(elements);
  });

  test.each([
    [['1'], 'float32', 'ERR_INVALID_ARG_TYPE'],
    [new Array(3), 'float32', 'ERR_INVALID_ARG_TYPE'],
    [[300], 'uint8', 'ERR_OUT_OF_RANGE'],
    [[1.5], 'int64', 'ERR_OUT_OF_RANGE'],
  ] as const)('%p in %s is refused', (numbers, dtype, code) => {
    expectThrow(() => Tensor.from(numbers as never, undefined, { dtype }), code, '`data`');
  });

  test('the length must fit the shape', () => {
    expectThrow(
      () => Tensor.from([1, 2, 3], [2, 2]),
      'ERR_SHAPE_MISMATCH',
      'Expected 4 elements in `data` for shape (2, 2) but received 3',
    );
  });

  test('bigints are int64 and booleans bool, unless a dtype is asked for', () => {
    expect(Tensor.from([1n, -2n]).dtype).toBe('int64');
    expect(Tensor.from(2n ** 60n).item()).toBe(2n ** 60n);
    expect(Tensor.from([[true], [false]]).dtype).toBe('bool');
    const back = Tensor.arange(3);
    expect(Tensor.from(back.toArray() as bigint[]).equals(back)).toBe(true);
    expect(Tensor.from<DType>([true], undefined, { dtype: 'bool' }).dtype).toBe('bool');
    expectThrow(() => Tensor.from([1, 2n] as never), 'ERR_INVALID_ARG_TYPE', 'a number');
    expectThrow(() => Tensor.from([true, 0.5] as never), 'ERR_INVALID_ARG_TYPE', 'booleans alone');
    const asked = Tensor.from([true, 0.5, 0] as never, { dtype: 'bool' });
    expect(asked.toArray()).toEqual([true, true, false]);
  });

  test('the options may follow the data', () => {
    const x: Tensor<'int64'> = Tensor.from([[1, 2]], { dtype: 'int64' });
    expect([x.dtype, x.shape]).toEqual(['int64', [1, 2]]);
    expect(Tensor.from(new Uint16Array(2), { dtype: 'bfloat16' }).dtype).toBe('bfloat16');
    expectThrow(() => Tensor.from([1], { dytpe: 'int64' } as never), 'ERR_INVALID_ARG_VALUE', "'dytpe'");
    expectThrow(
      () => Tensor.from([1], { dtype: 'int64' } as never, [1] as never),
      'ERR_INVALID_ARG_VALUE',
      '`options`',
    );
  });
});
