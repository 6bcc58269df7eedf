import { inspect } from 'node:util';
import { type AnyTensor, type DType, Tensor } from '../../../lib';
import { DTYPES } from '../../../lib/dtype';
import { fixtures } from './fixtures';

/** The numbers from 0 to 250, again and again. */
function counting(shape: readonly number[], dtype: DType): AnyTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return Tensor.from(
    Float32Array.from({ length: count }, (_, i) => i % 251),
    shape,
  ).to(dtype);
}

test.each(fixtures.printed)('prints what PyTorch’s repr prints: $text', ({ tensor, shape, dtype, text }) => {
  const printed = tensor === undefined ? counting(shape, dtype as DType) : Tensor.from(tensor);
  expect(inspect(printed)).toBe(text);
});

test('shows a permuted tensor in its logical order', () => {
  expect(inspect(Tensor.from([1, 2, 3, 4], [2, 2], { dtype: 'int64' }).transpose(0, 1))).toBe(
    'tensor([[1, 3],\n        [2, 4]])',
  );
});

test.each([[[6, 6, 6, 6, 6]], [new Array<number>(16).fill(2)], [[1000, 1000, 4]]])(
  'the text for shape %p has at most a few thousand characters',
  (shape) => {
    expect(inspect(Tensor.zeros(shape, { dtype: 'uint8' })).length).toBeLessThan(12_000);
  },
);

test.each(DTYPES)('%s has a text in one line', (dtype) => {
  expect(String(Tensor.zeros([2], { dtype }))).toBe(`Tensor((2,), ${dtype}, cpu)`);
});

test('the text says if a tensor is disposed or detached', () => {
  const tensor = Tensor.zeros([2]);
  tensor.dispose();
  expect(inspect(tensor)).toBe('tensor(<disposed>, size=(2,))');
  const array = new Float64Array(2);
  const borrowed = Tensor.from(array);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  expect(inspect(borrowed)).toBe('tensor(<detached>, size=(2,), dtype=torch.float64)');
});
