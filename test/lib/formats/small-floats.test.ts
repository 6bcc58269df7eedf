import { FLOAT8, fromBFloat16, fromFloat16 } from '../../../lib/formats/small-floats';

// 1, -1, the largest, the smallest subnormal, zeros, infinities and NaN: from the formats' definitions.
test.each([
  [0x3c00, 1],
  [0xbc00, -1],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x0001, 2 ** -24],
  [0x0000, 0],
  [0x8000, -0],
  [0x7c00, Infinity],
  [0xfc00, -Infinity],
  [0x7e00, NaN],
  [0xfc01, NaN],
])('the float16 %p is %p', (bits, value) => {
  expect(fromFloat16(bits)).toBe(value);
});

test('bfloat16 is the upper half of a float32', () => {
  const view = new DataView(new ArrayBuffer(4));
  for (let bits = 0; bits < 2 ** 16; bits += 1) {
    view.setUint32(0, bits * 2 ** 16);
    if (!Object.is(fromBFloat16(bits), view.getFloat32(0))) expect([bits, fromBFloat16(bits)]).toEqual([]);
  }
});

test('e5m2 is the upper half of a float16', () => {
  const fromE5m2 = FLOAT8.get('float8_e5m2');
  for (let bits = 0; bits < 256; bits += 1) expect(fromE5m2?.(bits)).toBe(fromFloat16(bits * 256));
});
