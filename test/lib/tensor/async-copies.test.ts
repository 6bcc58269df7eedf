import { Linear, runtime, Sequential, Tensor, TokenLearner } from '../../../lib';
import type { DType } from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';

const strided = (): Tensor => Tensor.arange(24, { dtype: 'float32' }).reshape([2, 3, 4]).permute([2, 0, 1]);

test.each<DType>(['float32', 'float64', 'float16', 'bfloat16', 'int32', 'int64', 'uint8', 'bool'])(
  'toAsync(%p) gives what to() gives',
  async (dtype) => {
    for (const x of [
      strided(),
      Tensor.from(new Float32Array([1.5, 0, 255])),
      Tensor.zeros([0, 2]),
      Tensor.from(2),
    ]) {
      const [expected, copy] = [x.to(dtype), await x.toAsync(dtype)];
      expect(copy.dtype).toBe(dtype);
      expect(copy.equals(expected)).toBe(true);
      expect(copy.isContiguous).toBe(dtype !== 'float32' || x.isContiguous);
    }
  },
);

test('a dtype may follow a device; after a dtype nothing may follow', async () => {
  const x = strided();
  expect(x.to('cpu', 'float64').dtype).toBe('float64');
  expect((await x.toAsync('cpu', 'float16')).dtype).toBe('float16');
  expect(x.to('cpu', 'float32')).toBe(x);
  expect([x.double().dtype, x.bfloat16().dtype]).toEqual(['float64', 'bfloat16']);
  const wrong = [
    () => x.to('float32' as never, { copy: true } as never),
    () => x.to('cpu', 'float' as never),
    () => x.to('float32' as never, 'float64'),
  ];
  for (const use of wrong) expectThrow(use, 'ERR_INVALID_ARG_VALUE', '`dtype`');
  expectThrow(() => x.to('cpu', {} as never), 'ERR_INVALID_ARG_TYPE', '`dtype`');
});

test('clones and contiguous copies; the tensor itself where nothing changes', async () => {
  const x = strided();
  const [clone, row] = [await x.cloneAsync(), await x.contiguousAsync()];
  for (const each of [clone, row]) {
    expect(each.isContiguous).toBe(true);
    expect(each.equals(x)).toBe(true);
    expect(each).not.toBe(x);
  }
  expect(await row.contiguousAsync()).toBe(row);
  expect(await row.toAsync('cpu')).toBe(row);
  expect(await row.toAsync('float32')).toBe(row);
  expect(await row.cloneAsync()).not.toBe(row);
});

test('a copy has the elements of the moment of the call', async () => {
  const data = new Float32Array([1, 2, 3]);
  const own = Tensor.ones([1000]);
  const copies = [Tensor.from(data).toAsync('float64'), own.toAsync('float64')];
  data.fill(9);
  own.dispose();
  const [first, second] = await Promise.all(copies);
  expect(first?.toArray()).toEqual([1, 2, 3]);
  expect(second?.equals(Tensor.ones([1000], { dtype: 'float64' }))).toBe(true);
});

test('errors are rejections', async () => {
  const x = Tensor.ones([2]);
  await expectReject(x.toAsync('int5' as never), 'ERR_INVALID_ARG_VALUE', 'target');
  await expectReject(x.toAsync(5 as never), 'ERR_INVALID_ARG_TYPE', 'target');
  x.dispose();
  await expectReject(x.toAsync('float64'), 'ERR_DISPOSED', 'disposed');
  await expectReject(x.cloneAsync(), 'ERR_DISPOSED', 'disposed');
  await expectReject(x.contiguousAsync(), 'ERR_DISPOSED', 'disposed');
  await expectReject(Tensor.prototype.cloneAsync.call({} as never), 'ERR_INVALID_THIS', 'a Tensor');
});

test('copies wait in the queue of the forwards, and are refused where that is full', async () => {
  runtime.configure({ maxQueueSize: 0 });
  try {
    const x = Tensor.ones([4_000_000]);
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => x.toAsync('float64')));
    const refused = results.flatMap((each) => (each.status === 'rejected' ? [each.reason as Error] : []));
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ code: 'ERR_QUEUE_FULL' });
  } finally {
    runtime.configure({ maxQueueSize: Infinity });
  }
});

test('stateDictAsync gives the parameters of the moment of the call', async () => {
  const linear = new Linear(2, 2, { device: 'cpu' });
  const model = new Sequential(new TokenLearner({ dim: 4, device: 'cpu' }), linear, linear);
  const expected = model.stateDict();
  const pending = model.stateDictAsync();
  linear.loadStateDict({ weight: Tensor.zeros([2, 2]), bias: Tensor.zeros([2]) });
  const dict = await pending;
  expect(Object.keys(dict)).toEqual(Object.keys(expected));
  expect(dict).toEqual(expected);
  model.dispose();
  await expectReject(model.stateDictAsync(), 'ERR_DISPOSED', 'disposed');
});

test('stateDictAsync of a model with more layers than may wait is one request', async () => {
  runtime.configure({ maxQueueSize: 1 });
  try {
    const model = new Sequential(
      ...Array.from({ length: 5 }, () => new TokenLearner({ dim: 4, device: 'cpu' })),
    );
    expect(await model.stateDictAsync()).toEqual(model.stateDict());
  } finally {
    runtime.configure({ maxQueueSize: Infinity });
  }
});
