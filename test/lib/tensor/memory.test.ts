import { runtime, Tensor } from '../../../lib';

test('runtime.memory() does not count a disposed tensor, even if its data was read', () => {
  const before = runtime.memory();
  const tensor = Tensor.zeros([1000]);
  expect(tensor.data.length).toBe(1000);
  tensor.dispose();
  expect(runtime.memory()).toEqual(before);
});

test('postMessage cannot transfer a tensor’s memory away', () => {
  const tensor = Tensor.ones([4]);
  const { buffer } = tensor.data;
  try {
    // Depending on its version Node copies such a buffer or throws.
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  } catch {
    expect(buffer.byteLength).toBe(16);
  }
  expect([...tensor.data]).toEqual([1, 1, 1, 1]);
});

test('views, reading data and reshaping allocate nothing', () => {
  const tensor = Tensor.zeros([6]);
  const before = runtime.memory();
  const views = [tensor.reshape([2, 3]), tensor.reshape([2, 3]).transpose(0, 1), tensor.reshape([6, 1])];
  expect(tensor.data.length + (views[0]?.data.length ?? 0)).toBe(12);
  expect(runtime.memory()).toEqual(before);
});

test('a typed array keeps the memory of a tensor alive after the tensor is gone', async () => {
  const { data } = Tensor.full([1000], 7);
  for (let turn = 0; turn < 20; turn++) {
    Array.from({ length: 100 }, () => Tensor.full([1000], 9));
    await new Promise(setImmediate);
  }
  expect(data.every((value) => value === 7)).toBe(true);
});
