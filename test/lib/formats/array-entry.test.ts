import { DTYPES } from '../../../lib/dtype';
import type { ErrorCode } from '../../../lib/errors';
import { checkArrayEntry, emptyEntries } from '../../../lib/formats/array-entry';
import { expectThrow, sample } from './support';

test('emptyEntries takes any name', () => {
  const entries = emptyEntries();
  entries.__proto__ = sample('uint8', []);
  expect(Object.keys(entries)).toEqual(['__proto__']);
});

test.each(DTYPES)('a sound entry of %s passes', (dtype) => {
  for (const shape of [[], [0], [2, 3]]) {
    const entry = sample(dtype, shape);
    const checked = checkArrayEntry('x', entry);
    expect(checked).toEqual(entry);
    expect(checked.data).toBe(entry.data);
    expect(checked.shape).not.toBe(entry.shape);
  }
});

const ok = sample('float32', [2]);
test.each<[string, unknown, ErrorCode, RegExp]>([
  ['undefined', undefined, 'ERR_INVALID_ARG_TYPE', /for `x` but received undefined/],
  ['null', null, 'ERR_INVALID_ARG_TYPE', /`x`/],
  ['a typed array', ok.data, 'ERR_INVALID_ARG_TYPE', /`x\.dtype`/],
  [
    'no dtype',
    { ...ok, dtype: 1 },
    'ERR_INVALID_ARG_TYPE',
    /one of 'float32', .* for `x\.dtype` but received 1 of type number/,
  ],
  ['an unknown dtype', { ...ok, dtype: 'toString' }, 'ERR_INVALID_ARG_VALUE', /'toString'/],
  ['no shape', { ...ok, shape: 2 }, 'ERR_INVALID_ARG_TYPE', /`x\.shape`/],
  ['a shape of strings', { ...ok, shape: ['2'] }, 'ERR_INVALID_ARG_TYPE', /`x\.shape\[0\]`/],
  [
    'a negative size',
    { ...ok, shape: [-2] },
    'ERR_OUT_OF_RANGE',
    /at least 0 for `x\.shape\[0\]` but received -2/,
  ],
  ['a fractional size', { ...ok, shape: [2.5] }, 'ERR_OUT_OF_RANGE', /2\.5/],
  ['a size that is NaN', { ...ok, shape: [NaN] }, 'ERR_OUT_OF_RANGE', /NaN/],
  ['data that are an array', { ...ok, data: [1, 2] }, 'ERR_INVALID_ARG_TYPE', /`x\.data`/],
  [
    'data that are a DataView',
    { ...ok, data: new DataView(new ArrayBuffer(8)) },
    'ERR_INVALID_ARG_TYPE',
    /data/,
  ],
  [
    'data of another type',
    { ...ok, data: new Float64Array(2) },
    'ERR_DTYPE_MISMATCH',
    /a Float32Array for dtype float32 for `x\.data` but received an instance of Float64Array/,
  ],
  [
    'data of another length',
    { ...ok, shape: [3] },
    'ERR_SHAPE_MISMATCH',
    /Expected 3 elements .* received 2/,
  ],
  ['a shape that overflows', { ...ok, shape: [2 ** 40, 2 ** 40] }, 'ERR_OUT_OF_RANGE', /too many elements/],
  ['65 dimensions', { ...ok, shape: new Array(65).fill(1) }, 'ERR_OUT_OF_RANGE', /at most 64 dimensions/],
])('%s is refused', (_, value, code, message) => {
  expectThrow(
    () => {
      checkArrayEntry('x', value);
    },
    code,
    message,
  );
});
