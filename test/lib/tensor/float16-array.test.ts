import { type DType, Tensor } from '../../../lib';
import { expectThrow } from '../formats/support';

type Float16ArrayClass = new (values: number[]) => Uint16Array;
// Node 24 and later.
const { Float16Array: Float16 } = globalThis as { Float16Array?: Float16ArrayClass };
const VALUES = [1.5, -0.25, 65504, 2 ** -24];
const BITS = [0x3e00, 0xb400, 0x7bff, 1];

test('the bits are taken and filled everywhere', () => {
  const tensor = Tensor.from(Uint16Array.from(BITS), [4]);
  expect(tensor.dtype).toBe('float16');
  expect([...tensor.to('float32').data]).toEqual(VALUES);
  expect([...tensor.copyTo(new Uint16Array(4))]).toEqual(BITS);
  expect(tensor.data).toBeInstanceOf(Float16 ?? Uint16Array);
});

if (Float16 !== undefined) {
  test('a Float16Array is a tensor’s memory, and its data', () => {
    const array = new Float16(VALUES);
    const tensor = Tensor.from(array);
    expect(tensor.dtype).toBe('float16');
    expect([...tensor.data]).toEqual(VALUES);
    expect(tensor.data).toBeInstanceOf(Float16);
    tensor.data[0] = 3;
    expect(array[0]).toBe(3);
    expect([...Tensor.from(VALUES, [4], { dtype: 'float16' }).data]).toEqual(VALUES);
  });

  test('it is taken and filled by copies, and for no other dtype', () => {
    const tensor = Tensor.zeros([4], { dtype: 'float16' }).copyFrom(new Float16(VALUES));
    expect([...tensor.copyTo(new Float16([0, 0, 0, 0]))]).toEqual(VALUES);
    const wrong = { dtype: 'bfloat16' as DType } as never;
    expectThrow(() => Tensor.from(new Float16(VALUES), [4], wrong), 'ERR_DTYPE_MISMATCH', 'Uint16Array');
  });
}
