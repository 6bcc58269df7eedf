import { DTYPES, dtypeInfo } from '../../../lib/dtype';
import { allocateElements, littleEndianBytes, toHost } from '../../../lib/formats/elements';

import { expectThrow } from './support';

describe('toHost', () => {
  const values = { float32: [1.5, -2], float64: [1.5, -2], int32: [1, -2], int64: [1n, -2n] } as const;

  test.each(['float32', 'float64', 'int32', 'int64'] as const)('%s of either byte order', (dtype) => {
    const { itemSize, array } = dtypeInfo(dtype);
    for (const order of ['little', 'big'] as const) {
      // From an odd offset, as a part of other bytes.
      const view = new DataView(new ArrayBuffer(2 * itemSize + 1), 1);
      values[dtype].forEach((value, i) => {
        const little = order === 'little';
        if (dtype === 'float32') view.setFloat32(i * itemSize, Number(value), little);
        else if (dtype === 'float64') view.setFloat64(i * itemSize, Number(value), little);
        else if (dtype === 'int32') view.setInt32(i * itemSize, Number(value), little);
        else view.setBigInt64(i * itemSize, BigInt(value), little);
      });
      const bytes = new Uint8Array(view.buffer, 1);
      toHost(bytes, dtype, order);
      expect([...new array(bytes.slice().buffer)]).toEqual([...values[dtype]]);
      expect(new Uint8Array(view.buffer)[0]).toBe(0);
    }
  });

  test.each(['float16', 'bfloat16'] as const)('%s are bits', (dtype) => {
    for (const [order, bits] of [
      ['little', 0x3412],
      ['big', 0x1234],
    ] as const) {
      const bytes = Uint8Array.of(0x12, 0x34);
      toHost(bytes, dtype, order);
      expect([...new Uint16Array(bytes.buffer)]).toEqual([bits]);
    }
  });

  test('every byte of a bool but 0 becomes 1', () => {
    for (const order of ['little', 'big'] as const) {
      const bytes = Uint8Array.of(0, 1, 2, 255);
      toHost(bytes, 'bool', order);
      expect([...bytes]).toEqual([0, 1, 1, 1]);
    }
  });
});

test.each(DTYPES)('littleEndianBytes gives the bytes of %s', (dtype) => {
  const { array, itemSize } = dtypeInfo(dtype);
  const bytes = Uint8Array.from({ length: 2 * itemSize }, (_, i) => i % 2);
  const elements = new array(bytes.slice().buffer);
  toHost(new Uint8Array(elements.buffer), dtype, 'little');
  expect([...littleEndianBytes(elements)]).toEqual([...bytes]);
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
