import { HeldTensor } from '../../../lib/files/held-tensor';
import { type AnyTensor, Tensor } from '../../../lib/tensor/tensor';
import { expectThrow } from '../formats/support';

const MEBIBYTE = 2 ** 20;

/** A tensor of the numbers 0, 1, 2, ... */
function counting(...shape: number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return Tensor.from(
    Float32Array.from({ length: count }, (_, i) => i),
    shape,
  );
}

function partsOf(tensor: AnyTensor): Float32Array[] {
  const held = new HeldTensor('x', tensor);
  try {
    return [...held.parts()] as Float32Array[];
  } finally {
    held.release();
  }
}

/** True if the parts are the elements of a contiguous copy. */
function agree(parts: Float32Array[], tensor: AnyTensor): boolean {
  const bytes = Buffer.concat(parts.map((part) => new Uint8Array(part.buffer)));
  const copy = tensor.clone().copyTo(new Float32Array(tensor.numel));
  return bytes.equals(new Uint8Array(copy.buffer));
}

test.each<[string, AnyTensor, number]>([
  ['contiguous', counting(3, MEBIBYTE), 4],
  ['transposed', counting(1024, 1023).transpose(0, 1), 1],
  ['with rows of many sizes', counting(3, 5, 70_001).permute([1, 2, 0]), 1],
  ['with rows over the limit', counting(400_000, 3).transpose(0, 1), 1],
  ['that is a row of single elements', counting(2, 600_000).permute([1, 0]), 1],
])('a tensor %s is read in parts', (_, tensor, mebibytes) => {
  const parts = partsOf(tensor);
  expect(agree(parts, tensor)).toBe(true);
  expect(parts.length).toBeGreaterThan(1);
  for (const { byteLength } of parts) expect(byteLength).toBeLessThanOrEqual(mebibytes * MEBIBYTE);
});

test('views of a part, scalars and tensors without elements', () => {
  const base = counting(4, 6);
  expect(partsOf(base.transpose(0, 1)).map((part) => [...part])).toEqual([
    [...base.transpose(0, 1).contiguous().data],
  ]);
  expect(partsOf(Tensor.full([], 7)).map((part) => [...part])).toEqual([[7]]);
  expect(partsOf(Tensor.zeros([3, 0]))).toEqual([]);
  expect(partsOf(Tensor.zeros([0, 3]).transpose(0, 1))).toEqual([]);
});

test('the elements outlive the tensor until they are released', () => {
  const tensor = Tensor.full([3], 5);
  const held = new HeldTensor('x', tensor);
  tensor.dispose();
  expect(held).toMatchObject({ dtype: 'float32', shape: [3], byteLength: 12, isPlain: true });
  expect([...held.copy()]).toEqual([5, 5, 5]);
  held.release();
  expect(() => held.copy()).toThrow();
});

test('what cannot be held', () => {
  const disposed = Tensor.zeros([1]);
  disposed.dispose();
  const values = new Float32Array(1);
  const moved = Tensor.from(values);
  structuredClone(values.buffer, { transfer: [values.buffer] });
  expectThrow(() => new HeldTensor('x', 3), 'ERR_INVALID_ARG_TYPE', 'a Tensor for `x`');
  expectThrow(() => new HeldTensor('x', disposed), 'ERR_DISPOSED', '`x`');
  expectThrow(() => new HeldTensor('x', moved), 'ERR_DETACHED', 'detached');
});
