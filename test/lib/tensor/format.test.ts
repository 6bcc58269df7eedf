import { inspect } from 'node:util';
import { Tensor } from '../../../lib';
import { DTYPES } from '../../../lib/dtype';

test('shows a small tensor completely', () => {
  expect(inspect(Tensor.from([1, -2.5, NaN, Infinity], [4]))).toBe(
    'Tensor((4,), float32, cpu) [1.0000, -2.5000, nan, inf]',
  );
  expect(inspect(Tensor.from([1, 2, 3, 4], [2, 2], { dtype: 'int32' }))).toBe(
    'Tensor((2, 2), int32, cpu)\n[[1, 2],\n [3, 4]]',
  );
  expect(inspect(Tensor.full([], 7, { dtype: 'int64' }))).toBe('Tensor((), int64, cpu) 7');
  expect(inspect(Tensor.from([true, false], [2], { dtype: 'bool' }))).toBe(
    'Tensor((2,), bool, cpu) [true, false]',
  );
  expect(inspect(Tensor.zeros([0]))).toBe('Tensor((0,), float32, cpu) []');
});

test.each(['float16', 'bfloat16'] as const)('%s shows numbers, not bits', (dtype) => {
  const values = [1, -0.5, 0, 2 ** -14, Infinity, -Infinity, NaN];
  expect(inspect(Tensor.from(values, undefined, { dtype }))).toContain(
    '[1.0000, -0.5000, 0.0000, 6.1035e-5, inf, -inf, nan]',
  );
});

test('the smallest float16 is not zero', () => {
  expect(inspect(Tensor.from(Uint16Array.of(1)))).toContain('[5.9605e-8]');
});

test('shows a permuted tensor in its logical order', () => {
  expect(inspect(Tensor.from([1, 2, 3, 4], [2, 2], { dtype: 'int32' }).transpose(0, 1))).toContain(
    '[[1, 3],\n [2, 4]]',
  );
});

test('shows only the ends of a large tensor', () => {
  const tensor = Tensor.from(Int32Array.from({ length: 1000 }, (_, i) => i));
  expect(inspect(tensor)).toBe('Tensor((1000,), int32, cpu) [0, 1, 2, ..., 997, 998, 999]');
});

test.each([[[6, 6, 6, 6, 6]], [new Array<number>(16).fill(2)], [[1000, 1000, 4]]])(
  'the text for shape %p has at most a few thousand characters',
  (shape) => {
    expect(inspect(Tensor.zeros(shape, { dtype: 'uint8' })).length).toBeLessThan(8000);
  },
);

test.each(DTYPES)('%s has a text', (dtype) => {
  expect(String(Tensor.zeros([2], { dtype }))).toBe(`Tensor((2,), ${dtype}, cpu)`);
  expect(inspect(Tensor.zeros([2], { dtype }))).toMatch(/\[\S+, \S+\]$/);
});

test('the text says if a tensor is disposed or detached', () => {
  const tensor = Tensor.zeros([2]);
  tensor.dispose();
  expect(inspect(tensor)).toBe('Tensor((2,), float32, cpu, disposed)');
  const array = new Float32Array(2);
  const borrowed = Tensor.from(array);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  expect(inspect(borrowed)).toBe('Tensor((2,), float32, cpu, detached)');
});
