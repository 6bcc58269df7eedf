import { DTYPES, dtypeInfo } from '../../../lib/dtype';
import { type AnyTensor, type DType, Tensor } from '../../../lib';
import { TensorBase } from '../../../lib/tensor/base';
import { TensorOperations } from '../../../lib/tensor/operations';
import { expectReject, expectThrow } from '../formats/support';
import { call } from './fixtures';
import { elementsOf, methodOf } from '../support';

describe('creating tensors', () => {
  test.each(DTYPES)('%s: zeros, ones and full', (dtype) => {
    const one = { float16: 0x3c00, bfloat16: 0x3f80, int64: 1n }[dtype as string] ?? 1;
    const zero = dtype === 'int64' ? 0n : 0;
    expect(elementsOf(Tensor.zeros([2, 2], { dtype }))).toEqual([zero, zero, zero, zero]);
    expect(elementsOf(Tensor.ones([2], { dtype }))).toEqual([one, one]);
    expect(elementsOf(Tensor.full([2], 1, { dtype }))).toEqual([one, one]);
  });

  test.each(DTYPES)('%s: its properties, and the typed array of its dtype', (dtype) => {
    const tensor = Tensor.empty([2, 0, 3], { dtype });
    const { itemSize, shown } = dtypeInfo(dtype);
    expect(tensor).toMatchObject({
      shape: [2, 0, 3],
      strides: [3, 3, 1],
      dtype,
      device: 'cpu',
      ndim: 3,
      numel: 0,
    });
    const filled = Tensor.empty([2, 5], { dtype });
    expect(filled).toMatchObject({
      numel: 10,
      byteLength: 10 * itemSize,
      isContiguous: true,
      disposed: false,
    });
    expect(filled.data.constructor.name).toBe(shown.name);
    expect(filled.data.length).toBe(10);
  });

  test('dtypes determine the TypeScript types of data', () => {
    const single: Float32Array = Tensor.zeros([1]).data;
    const wide: BigInt64Array = Tensor.zeros([1], { dtype: 'int64' }).data;
    const half: Uint16Array = Tensor.zeros([1]).to('bfloat16').data;
    const bytes: Tensor<'uint8'> = Tensor.from(new Uint8Array(1));
    // @ts-expect-error -- a Float32Array is not a Float64Array
    const wrong: Float64Array = Tensor.zeros([1]).data;
    expect([single, wide, half, bytes.data, wrong].map((array) => array.length)).toEqual([1, 1, 1, 1, 1]);
  });

  test('a single number has no dimensions', () => {
    const tensor = Tensor.full([], 3);
    expect(tensor).toMatchObject({ shape: [], strides: [], ndim: 0, numel: 1 });
    expect(elementsOf(tensor)).toEqual([3]);
  });

  test('randn has mean 0 and variance 1', () => {
    const n = 100_000;
    const { data } = Tensor.randn([n]);
    const mean = data.reduce((sum, x) => sum + x, 0) / n;
    const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n;
    // Six standard deviations of the mean (1 / sqrt n) and of the variance (sqrt(2 / n)).
    expect(Math.abs(mean)).toBeLessThan(6 / Math.sqrt(n));
    expect(Math.abs(variance - 1)).toBeLessThan(6 * Math.sqrt(2 / n));
  });

  test.each(['float16', 'bfloat16', 'float64'] as const)('randn in %s', (dtype) => {
    expect(Tensor.randn([3], { dtype }).dtype).toBe(dtype);
  });

  test('full takes every value that the dtype can hold', () => {
    expect(elementsOf(Tensor.full([1], 2n ** 62n, { dtype: 'int64' }))).toEqual([2n ** 62n]);
    expect(elementsOf(Tensor.full([1], -5, { dtype: 'int64' }))).toEqual([-5n]);
    expect(elementsOf(Tensor.full([1], true, { dtype: 'bool' }))).toEqual([1]);
    expect(elementsOf(Tensor.full([1], 0.5, { dtype: 'bool' }))).toEqual([1]);
    expect(elementsOf(Tensor.full([2], NaN))).toEqual([NaN, NaN]);
    expect(elementsOf(Tensor.full([1], -Infinity))).toEqual([-Infinity]);
  });

  test.each([
    [256, 'uint8', 'ERR_OUT_OF_RANGE'],
    [-1, 'uint8', 'ERR_OUT_OF_RANGE'],
    [1.5, 'int32', 'ERR_OUT_OF_RANGE'],
    [2 ** 31, 'int32', 'ERR_OUT_OF_RANGE'],
    [NaN, 'int64', 'ERR_OUT_OF_RANGE'],
    [2n ** 63n, 'int64', 'ERR_OUT_OF_RANGE'],
    ['1', 'float32', 'ERR_INVALID_ARG_TYPE'],
    [1n, 'float32', 'ERR_INVALID_ARG_TYPE'],
    [true, 'float32', 'ERR_INVALID_ARG_TYPE'],
    [undefined, 'float64', 'ERR_INVALID_ARG_TYPE'],
    ['1', 'int64', 'ERR_INVALID_ARG_TYPE'],
  ] as const)('full refuses %p for %s', (value, dtype, code) => {
    expectThrow(() => Tensor.full([2], value as number, { dtype }), code, '`value`');
  });

  test.each([
    [[-1], {}, 'ERR_OUT_OF_RANGE'],
    [[1.5], {}, 'ERR_OUT_OF_RANGE'],
    [[2 ** 30, 2 ** 30], {}, 'ERR_OUT_OF_RANGE'],
    ['3', {}, 'ERR_INVALID_ARG_TYPE'],
    [undefined, {}, 'ERR_INVALID_ARG_TYPE'],
    [[2], { dtype: 'float8' }, 'ERR_INVALID_ARG_VALUE'],
    [[2], { dtype: 6 }, 'ERR_INVALID_ARG_TYPE'],
    [[2], { device: 'gpu' }, 'ERR_INVALID_ARG_VALUE'],
    [[2], { type: 'float32' }, 'ERR_INVALID_ARG_VALUE'],
    [[2], null, 'ERR_INVALID_ARG_TYPE'],
  ] as const)('shape %p with options %p is refused', (shape, options, code) => {
    for (const maker of ['empty', 'zeros', 'ones', 'randn'] as const) {
      expectThrow(() => call(Tensor, maker, [shape, options]), code, /`(shape|options)|too many/);
    }
  });

  test('too little memory gives a typed error', () => {
    expectThrow(() => Tensor.empty([2 ** 50]), 'ERR_OUT_OF_MEMORY', /./);
  });

  test('randn is only for floating dtypes', () => {
    // @ts-expect-error -- the types say so too
    expectThrow(() => Tensor.randn([2], { dtype: 'int32' }), 'ERR_INVALID_ARG_VALUE', '`options.dtype`');
  });

  test('the constructor is not for callers', () => {
    const Constructor = Tensor as unknown as new () => unknown;
    expectThrow(() => new Constructor(), 'ERR_INVALID_ARG_VALUE', 'Tensor.zeros');
  });
});

describe('data', () => {
  test('is the same array each time, over the same memory', () => {
    const tensor = Tensor.zeros([3]);
    tensor.data[1] = 5;
    expect(tensor.data).toBe(tensor.data);
    expect(elementsOf(tensor)).toEqual([0, 5, 0]);
    const empty = Tensor.zeros([0]);
    expect(empty.data).toBe(empty.data);
  });

  test('views have the same memory', () => {
    const tensor = Tensor.zeros([2, 3]);
    const view = tensor.reshape([6]);
    view.data[4] = 7;
    expect(view.data.buffer).toBe(tensor.data.buffer);
    expect(tensor.data[4]).toBe(7);
  });

  test('needs a contiguous tensor', () => {
    const tensor = Tensor.zeros([2, 3]).permute([1, 0]);
    expectThrow(() => tensor.data, 'ERR_NOT_CONTIGUOUS', 'shape (3, 2) and strides (1, 3)');
    expect(tensor.contiguous().data.length).toBe(6);
  });
});

describe('dispose', () => {
  test('does not change typed arrays that data returned', () => {
    const tensor = Tensor.ones([4]);
    const { data } = tensor;
    tensor.dispose();
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    expectThrow(() => tensor.data, 'ERR_DISPOSED', 'disposed');
    expect([...data]).toEqual([1, 1, 1, 1]);
  });

  test('does not free memory that another tensor views', () => {
    const tensor = Tensor.ones([4]);
    const view = tensor.reshape([2, 2]);
    const { data } = tensor;
    tensor.dispose();
    expect([...view.data]).toEqual([1, 1, 1, 1]);
    view.dispose();
    expect([...data]).toEqual([1, 1, 1, 1]);
  });

  test('does not change the caller’s memory', () => {
    const array = Float32Array.of(1, 2);
    Tensor.from(array).dispose();
    expect([...array]).toEqual([1, 2]);
  });

  test('runs at the end of a using block', () => {
    let outer: AnyTensor;
    {
      using tensor = Tensor.ones([4]);
      outer = tensor;
    }
    expect(outer.disposed).toBe(true);
  });

  test.each([
    ['shape', (t: Tensor) => t.shape],
    ['strides', (t: Tensor) => t.strides],
    ['dtype', (t: Tensor) => t.dtype],
    ['device', (t: Tensor) => t.device],
    ['ndim', (t: Tensor) => t.ndim],
    ['numel', (t: Tensor) => t.numel],
    ['byteLength', (t: Tensor) => t.byteLength],
    ['isContiguous', (t: Tensor) => t.isContiguous],
    ['data', (t: Tensor) => t.data],
    ['reshape', (t: Tensor) => t.reshape([2, 1])],
    ['permute', (t: Tensor) => t.permute([0])],
    ['transpose', (t: Tensor) => t.transpose(0, 0)],
    ['to', (t: Tensor) => t.to('float64')],
    ['clone', (t: Tensor) => t.clone()],
    ['contiguous', (t: Tensor) => t.contiguous()],
    ['view', (t: Tensor) => t.view([2])],
    ['flatten', (t: Tensor) => t.flatten()],
    ['T', (t: Tensor) => t.T],
    ['narrow', (t: Tensor) => t.narrow(0, 0, 1)],
    ['select', (t: Tensor) => t.select(0, 0)],
    ['slice', (t: Tensor) => t.slice(0)],
    ['squeeze', (t: Tensor) => t.squeeze()],
    ['unsqueeze', (t: Tensor) => t.unsqueeze(0)],
    ['unbind', (t: Tensor) => t.unbind()],
    ['item', (t: Tensor) => t.item()],
    ['toArray', (t: Tensor) => t.toArray()],
    ['equals', (t: Tensor) => t.equals(t)],
    ['allClose', (t: Tensor) => t.allClose(t)],
    ['sum', (t: Tensor) => t.sum()],
    ['mean', (t: Tensor) => t.mean()],
    ['argmax', (t: Tensor) => t.argmax()],
    ['topk', (t: Tensor) => t.topk(1)],
    ['softmax', (t: Tensor) => t.softmax(0)],
    ['float', (t: Tensor) => t.float()],
    ['half', (t: Tensor) => t.half()],
    ['cpu', (t: Tensor) => t.cpu()],
    ['cuda', (t: Tensor) => t.cuda()],
  ])('%s of a disposed tensor is refused', (_, use) => {
    const tensor = Tensor.ones([2]);
    tensor.dispose();
    expectThrow(() => use(tensor), 'ERR_DISPOSED', 'The tensor was disposed');
  });
});

describe('a `this` that is not a tensor', () => {
  const prototypes = [Tensor, TensorOperations, TensorBase].map(({ prototype }) => prototype as object);
  // jest asks prototypes for the second of these; the third is what tensors are called in messages of another copy of the package.
  const others: PropertyKey[] = [
    'constructor',
    Symbol.for('@jest/serializableProperties'),
    Symbol.for('tokenlearner.brand'),
  ];
  const names = prototypes.flatMap(Reflect.ownKeys).filter((name) => !others.includes(name));
  const fakes = [undefined, null, 3, {}, Object.create(Tensor.prototype), Tensor, new Float32Array(2)];

  test.each(names)('is refused by %p', async (name) => {
    const call = methodOf(Tensor.prototype, name);
    for (const fake of fakes) {
      // Some methods throw, and some reject.
      const attempt = Promise.resolve().then(() => call.call(fake, [0]));
      await expectReject(attempt, 'ERR_INVALID_THIS', 'Expected `this` to be a Tensor');
    }
  });
});

describe('to, clone, contiguous', () => {
  test('to the current dtype or device returns the tensor itself', () => {
    const tensor = Tensor.ones([2]);
    expect(tensor.to('float32')).toBe(tensor);
    expect(tensor.to('cpu')).toBe(tensor);
    expect(tensor.contiguous()).toBe(tensor);
  });

  test.each(DTYPES)('1 in %s is 1 in every other dtype', (dtype) => {
    const tensor = Tensor.ones([3], { dtype });
    for (const other of DTYPES) {
      expect(elementsOf(tensor.to(other).to<DType>('float64'))).toEqual([1, 1, 1]);
    }
  });

  test('conversions round as IEEE 754 requires', () => {
    const tensor = Tensor.from([1.0009765625, 65504, 65520, -0, NaN, 1 / 3], undefined, { dtype: 'float64' });
    expect(elementsOf(tensor.to('float16'))).toEqual([
      0x3c01,
      0x7bff,
      0x7c00,
      0x8000,
      expect.any(Number),
      0x3555,
    ]);
    expect(elementsOf(tensor.to('bfloat16')).slice(0, 3)).toEqual([0x3f80, 0x4780, 0x4780]);
    expect(elementsOf(tensor.to('float32'))[5]).toBe(Math.fround(1 / 3));
  });

  test('a clone has its own memory', () => {
    const tensor = Tensor.zeros([2]);
    const copy = tensor.clone();
    copy.data[0] = 1;
    expect([...tensor.data]).toEqual([0, 0]);
  });

  test('a clone of a permuted tensor is contiguous', () => {
    const tensor = Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]).transpose(0, 1);
    expect(tensor.isContiguous).toBe(false);
    expect(tensor.clone()).toMatchObject({ shape: [3, 2], strides: [2, 1], isContiguous: true });
    expect(elementsOf(tensor)).toEqual([1, 4, 2, 5, 3, 6]);
  });

  test.each([
    ['float', 'ERR_INVALID_ARG_VALUE'],
    ['cuda:x', 'ERR_INVALID_ARG_VALUE'],
    [3, 'ERR_INVALID_ARG_TYPE'],
    [undefined, 'ERR_INVALID_ARG_TYPE'],
  ] as const)('to(%p) is refused', (target, code) => {
    expectThrow(() => Tensor.ones([1]).to(target as never), code, '`target`');
  });
});

describe('views', () => {
  const source = Tensor.from([0, 1, 2, 3, 4, 5], [2, 3]);

  test('reshape keeps the order', () => {
    expect(source.reshape([3, -1])).toMatchObject({ shape: [3, 2] });
    expect(elementsOf(source.reshape([-1]))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('reshape copies if no view is possible', () => {
    const reshaped = source.transpose(0, 1).reshape([6]);
    expect(elementsOf(reshaped)).toEqual([0, 3, 1, 4, 2, 5]);
    reshaped.data[0] = 9;
    expect(source.data[0]).toBe(0);
  });

  test('permute and transpose swap strides', () => {
    const tensor = Tensor.zeros([2, 3, 4]);
    expect(tensor.permute([2, 0, -2])).toMatchObject({ shape: [4, 2, 3], strides: [1, 12, 4] });
    expect(tensor.transpose(-1, 0)).toMatchObject({ shape: [4, 3, 2], strides: [1, 4, 12] });
  });

  test('shapes and strides cannot be changed', () => {
    expect(Object.isFrozen(source.shape) && Object.isFrozen(source.strides)).toBe(true);
  });

  test.each([
    [[0], 'ERR_INVALID_ARG_VALUE'],
    [[0, 0], 'ERR_INVALID_ARG_VALUE'],
    [[0, -2], 'ERR_INVALID_ARG_VALUE'],
    [[0, 2], 'ERR_OUT_OF_RANGE'],
    [[, 0], 'ERR_INVALID_ARG_TYPE'], // eslint-disable-line no-sparse-arrays
    ['01', 'ERR_INVALID_ARG_TYPE'],
  ] as const)('permute(%p) of two dimensions is refused', (dimensions, code) => {
    expectThrow(() => source.permute(dimensions as never), code, '`dimensions');
  });

  test('transpose refuses dimensions that do not exist', () => {
    expectThrow(() => source.transpose(0, 2), 'ERR_OUT_OF_RANGE', '`second`');
    expectThrow(() => source.transpose(0.5, 1), 'ERR_OUT_OF_RANGE', '`first`');
  });
});
