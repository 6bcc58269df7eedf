import { type DType, Tensor } from '../../../lib';
import { expectThrow } from '../formats/support';

type Float16ArrayClass = new (values: number[]) => Uint16Array;
// Node 24 and later have Float16Array.
const { Float16Array: Float16 } = globalThis as { Float16Array?: Float16ArrayClass };
const VALUES = [1.5, -0.25, 65504, 2 ** -24];
const BITS = [0x3e00, 0xb400, 0x7bff, 1];

test('every version of Node reads and writes the bits', () => {
  const tensor = Tensor.from(Uint16Array.from(BITS), [4]);
  expect(tensor.dtype).toBe('float16');
  expect([...tensor.to('float32').data]).toEqual(VALUES);
  expect([...tensor.copyTo(new Uint16Array(4))]).toEqual(BITS);
  expect(tensor.data).toBeInstanceOf(Float16 ?? Uint16Array);
});

if (Float16 !== undefined) {
  test('a Float16Array can be a tensor’s memory, and data returns one', () => {
    const array = new Float16(VALUES);
    const tensor = Tensor.from(array);
    expect(tensor.dtype).toBe('float16');
    expect([...tensor.data]).toEqual(VALUES);
    expect(tensor.data).toBeInstanceOf(Float16);
    tensor.data[0] = 3;
    expect(array[0]).toBe(3);
    expect([...Tensor.from(VALUES, [4], { dtype: 'float16' }).data]).toEqual(VALUES);
  });

  test('copyFrom and copyTo take it for float16 only', () => {
    const tensor = Tensor.zeros([4], { dtype: 'float16' }).copyFrom(new Float16(VALUES));
    expect([...tensor.copyTo(new Float16([0, 0, 0, 0]))]).toEqual(VALUES);
    const wrong = { dtype: 'bfloat16' as DType } as never;
    expectThrow(() => Tensor.from(new Float16(VALUES), [4], wrong), 'ERR_DTYPE_MISMATCH', 'Uint16Array');
  });
}
