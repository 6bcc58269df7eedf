import { DTYPES, dtypeInfo } from '../../../lib/dtype';
import {
  allocateElements,
  elementCount,
  elementsFromBytes,
  littleEndianBytes,
} from '../../../lib/formats/elements';

import { expectThrow } from './support';

describe('elementCount', () => {
  test.each([
    [[], 1],
    [[3], 3],
    [[2, 3, 4], 24],
    [[2, 0, 3], 0],
    [[2 ** 26, 2 ** 26], 2 ** 52],
    [[2 ** 27, 2 ** 26], Infinity],
    [[2 ** 27, 2 ** 27, 0], Infinity],
    [[0, 2 ** 53 - 1, 2 ** 53 - 1], 0],
  ])('%j has %d', (shape, count) => {
    expect(elementCount(shape)).toBe(count);
  });
});

describe('elementsFromBytes', () => {
  const values = { float32: [1.5, -2], float64: [1.5, -2], int32: [1, -2], int64: [1n, -2n] } as const;

  test.each(['float32', 'float64', 'int32', 'int64'] as const)('%s of either byte order', (dtype) => {
    const size = dtypeInfo(dtype).itemSize;
    const view = new DataView(new ArrayBuffer(2 * size));
    for (const order of ['little', 'big'] as const) {
      values[dtype].forEach((value, i) => {
        const little = order === 'little';
        if (dtype === 'float32') view.setFloat32(i * size, Number(value), little);
        else if (dtype === 'float64') view.setFloat64(i * size, Number(value), little);
        else if (dtype === 'int32') view.setInt32(i * size, Number(value), little);
        else view.setBigInt64(i * size, BigInt(value), little);
      });
      expect([...elementsFromBytes(new Uint8Array(view.buffer), dtype, order)]).toEqual([...values[dtype]]);
    }
  });

  test.each(['float16', 'bfloat16'] as const)('%s are bits', (dtype) => {
    const bytes = Uint8Array.of(0x12, 0x34);
    expect([...elementsFromBytes(bytes, dtype, 'little')]).toEqual([0x3412]);
    expect([...elementsFromBytes(bytes, dtype, 'big')]).toEqual([0x1234]);
  });

  test('bytes of another order are copied, not changed in place', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4);
    elementsFromBytes(bytes, 'int32', 'big');
    elementsFromBytes(Uint8Array.of(7), 'bool', 'little');
    expect([...bytes]).toEqual([1, 2, 3, 4]);
  });

  test('a slice of a larger buffer', () => {
    const bytes = Uint8Array.of(9, 9, 9, 9, 1, 0, 0, 0, 9);
    expect([...elementsFromBytes(bytes.subarray(4, 8), 'int32', 'little')]).toEqual([1]);
    expect([...elementsFromBytes(bytes.subarray(3, 7), 'int32', 'little')]).toEqual([0x00000109]);
  });
});

test.each(DTYPES)('littleEndianBytes undoes elementsFromBytes for %s', (dtype) => {
  const bytes = Uint8Array.from({ length: 2 * dtypeInfo(dtype).itemSize }, (_, i) => i % 2);
  expect([...littleEndianBytes(elementsFromBytes(bytes, dtype, 'little'))]).toEqual([...bytes]);
});

test.each(DTYPES)('allocateElements gives zeros of %s', (dtype) => {
  const data = allocateElements(dtype, 3);
  expect(data.byteLength).toBe(3 * dtypeInfo(dtype).itemSize);
  expect(Array.from(data, Number)).toEqual([0, 0, 0]);
});

test('allocateElements refuses what no machine has', () => {
  expectThrow(
    () => allocateElements('float64', 2 ** 50),
    'ERR_OUT_OF_MEMORY',
    /1125899906842624 elements of float64/,
  );
});
