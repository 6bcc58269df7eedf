/** Tensor methods refuse what PyTorch's and the modules' refuse, and name the argument at fault. */
import { pathToFileURL } from 'node:url';
import { AotiModel, Batcher, Linear, runtime, Sequential, Tensor } from '../../../lib';
import type { AnyTensor } from '../../../lib';
import { expectReject, expectThrow } from '../formats/support';

const x = Tensor.ones([2, 1, 3]);

test('squeeze refuses a repeated dimension, as sum does', () => {
  for (const dim of [
    [1, 1],
    [1, -2],
  ]) {
    expectThrow(() => x.squeeze(dim), 'ERR_INVALID_ARG_VALUE', 'dimensions that differ');
    expectThrow(() => x.sum(dim), 'ERR_INVALID_ARG_VALUE', 'dimensions that differ');
  }
  expect(x.squeeze([1, 0]).shape).toEqual([2, 3]);
});

test('cuda(index) is the device of that index, as for modules', () => {
  const linear = new Linear(2, 2, { device: 'cpu' });
  for (const wrong of [-1, 0.5, 'bogus']) {
    expect(() => x.cuda(wrong as never)).toThrow(/`index`/);
    expect(() => linear.cuda(wrong as never)).toThrow(/ERR_|index|cuda/);
  }
  expectThrow(() => x.cuda(77), 'ERR_CUDA_UNAVAILABLE', 'cuda:77');
});

test('the device of runtime.info() is one for options', () => {
  for (const { device } of runtime.info().devices) {
    expect(new Linear(2, 2, { device }).device).toBe(device);
    expect(x.to(device).device).toBe(device);
  }
});

test('messages name what is at fault', () => {
  expectThrow(() => Tensor.zeros([0]).select(0, 0), 'ERR_OUT_OF_RANGE', 'no integer, since none is in range');
  expectThrow(() => Tensor.cat([Tensor.zeros([0]), Tensor.from(1)]), 'ERR_SHAPE_MISMATCH', 'tensors[1]');
  expectThrow(() => x.to(5 as never), 'ERR_INVALID_ARG_TYPE', 'a dtype or a device');
});

test('JSON of a module is its repr, without its weights', () => {
  const linear = new Linear(2, 2, { device: 'cpu' });
  expect(JSON.stringify({ linear })).toBe(JSON.stringify({ linear: linear.toString() }));
  expect(linear.toJSON()).toBe(linear);
});

test('AotiModel.load takes a file URL', async () => {
  const url = pathToFileURL('/no/such.pt2');
  await expectReject(AotiModel.load(url, { trusted: true }), 'ERR_FILE_IO', '/no/such.pt2');
});

test('TypeScript lets the dtypes through that only compiled programs take', async () => {
  const linear = new Linear(2, 2, { device: 'cpu' });
  const ints = Tensor.zeros([1, 2], { dtype: 'int64' });
  const batcher = new Batcher(linear);
  const pending: Promise<AnyTensor>[] = [
    new Sequential(linear).forward(ints),
    batcher.forward<Tensor<'int64'>>(ints),
  ];
  for (const each of pending) await expectReject(each, 'ERR_DTYPE_MISMATCH', 'float32');
  await batcher.close();
});
