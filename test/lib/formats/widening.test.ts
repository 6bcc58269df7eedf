import { formatErrors } from '../../../lib/formats/format-error';
import { widen, wideningOf, type RawArray } from '../../../lib/formats/widening';
import { expectReject } from './support';

const fail = formatErrors('x.pt');

async function widened(name: string, raw: RawArray): Promise<unknown[]> {
  const widening = wideningOf(name);
  if (widening === undefined) throw new Error(`${name} is not read`);
  const data = await widen(raw, widening, 'tensor "w"', fail);
  return [widening.dtype, ...Array.from(data, (value: number | bigint) => value)];
}

test.each<[string, RawArray, unknown[]]>([
  ['int8', Int8Array.of(-128, 0, 127), ['int32', -128, 0, 127]],
  ['int16', Int16Array.of(-32768, 32767), ['int32', -32768, 32767]],
  ['uint16', Uint16Array.of(0, 65535), ['int32', 0, 65535]],
  ['uint32', Uint32Array.of(0, 2 ** 32 - 1), ['int64', 0n, 2n ** 32n - 1n]],
  ['uint64', BigUint64Array.of(0n, 2n ** 63n - 1n), ['int64', 0n, 2n ** 63n - 1n]],
])('%s', async (name, raw, expected) => {
  expect(await widened(name, raw)).toEqual(expected);
});

test('a uint64 that does not fit int64 is an error that names the tensor', async () => {
  const raw = BigUint64Array.of(2n ** 63n);
  await expectReject(
    widened('uint64', raw),
    'ERR_FILE_FORMAT',
    /^x\.pt: tensor "w" holds 9223372036854775808/,
  );
});

// 1, -1, the largest, the smallest above 0, and the special values: from the formats' definitions.
test.each<[string, number[], number[]]>([
  ['float8_e4m3fn', [0x38, 0xb8, 0x7e, 0x01, 0x7f, 0xff, 0x80], [1, -1, 448, 2 ** -9, NaN, NaN, -0]],
  [
    'float8_e5m2',
    [0x3c, 0xbc, 0x7b, 0x01, 0x7c, 0xfc, 0x7d, 0xff],
    [1, -1, 57344, 2 ** -16, Infinity, -Infinity, NaN, NaN],
  ],
  ['float8_e4m3fnuz', [0x40, 0xc0, 0x7f, 0x01, 0x80, 0xff], [1, -1, 240, 2 ** -10, NaN, -240]],
  ['float8_e5m2fnuz', [0x40, 0xc0, 0x7f, 0x01, 0x80, 0xff], [1, -1, 57344, 2 ** -17, NaN, -57344]],
  ['float8_e8m0fnu', [0x7f, 0x80, 0xfe, 0x00, 0xff], [1, 2, 2 ** 127, 2 ** -127, NaN]],
])('%s', async (name, bytes, values) => {
  expect(await widened(name, Uint8Array.from(bytes))).toEqual(['float32', ...values]);
});

test.each(['float32', 'complex64', 'float4_e2m1fn_x2', 'int4', 'quint8', 'bits8', 'constructor'])(
  '%s is not widened',
  (name) => {
    expect(wideningOf(name)).toBeUndefined();
  },
);
