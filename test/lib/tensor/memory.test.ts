import { runtime, Tensor } from '../../../lib';

test('dispose takes a tensor off the account, also when its data was read', () => {
  const before = runtime.memory();
  const tensor = Tensor.zeros([1000]);
  expect(tensor.data.length).toBe(1000);
  tensor.dispose();
  expect(runtime.memory()).toEqual(before);
});

test('a tensor’s memory cannot be transferred away', () => {
  const tensor = Tensor.ones([4]);
  const { buffer } = tensor.data;
  try {
    // Node copies such a buffer or refuses, depending on its version.
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

test('a typed array keeps the memory of a tensor that nobody holds', async () => {
  const { data } = Tensor.full([1000], 7);
  for (let turn = 0; turn < 20; turn++) {
    Array.from({ length: 100 }, () => Tensor.full([1000], 9));
    await new Promise(setImmediate);
  }
  expect(data.every((value) => value === 7)).toBe(true);
});
