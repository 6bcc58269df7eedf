import { defaultDType, dtypeFromCode, dtypeInfo, DTYPES, isDType } from '../../lib/dtype';

// The codes of libtorch's c10::ScalarType.
const SCALAR_TYPES = {
  uint8: 0,
  int32: 3,
  int64: 4,
  float16: 5,
  float32: 6,
  float64: 7,
  bool: 11,
  bfloat16: 15,
} as const;

test('every dtype has the code of its ScalarType, and the code converts back', () => {
  expect([...DTYPES].sort()).toEqual(Object.keys(SCALAR_TYPES).sort());
  for (const dtype of DTYPES) {
    expect(dtypeInfo(dtype).code).toBe(SCALAR_TYPES[dtype]);
    expect(dtypeFromCode(SCALAR_TYPES[dtype])).toBe(dtype);
  }
});

test('a code without a dtype is refused', () => {
  expect(() => dtypeFromCode(1)).toThrow(RangeError);
});

test('item sizes are those of the typed arrays', () => {
  for (const dtype of DTYPES) {
    const { array, itemSize } = dtypeInfo(dtype);
    expect(new array(new ArrayBuffer(itemSize)).length).toBe(1);
  }
});

test('only the names of dtypes are dtypes', () => {
  expect(DTYPES.every(isDType)).toBe(true);
  expect(['float', 'toString', '__proto__', '', 6, null, undefined].some(isDType)).toBe(false);
});

test.each([
  ['Float32Array', 'float32'],
  ['Float64Array', 'float64'],
  ['Uint16Array', 'float16'],
  ['Int32Array', 'int32'],
  ['BigInt64Array', 'int64'],
  ['Uint8Array', 'uint8'],
  ['Int8Array', undefined],
  ['Float16Array', 'float16'],
])('the default dtype of %s is %p', (name, dtype) => {
  expect(defaultDType(name)).toBe(dtype);
});
