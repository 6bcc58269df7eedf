import type { DType } from '../../../lib/dtype';
import { allocateInJavaScript } from '../../../lib/formats/read-elements';
import { parseSafetensors, readSafetensorsFrom } from '../../../lib/formats/safetensors';
import { A, file, tensorFile } from './safetensors-file';
import { describedAll, expectReject } from './support';

describe('budgets', () => {
  const place = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
  const members = (count: number, value: string) =>
    Array.from({ length: count }, (_, i) => `"${i}":${value}`).join();

  test('tensors, and other work gets its turns meanwhile', async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1));
    const asked: string[] = [];
    const filter = (name: string) => asked.push(name) < 0;
    await parseSafetensors(file(`{${members(131_072, place)}}`), 'x', filter);
    clearInterval(timer);
    expect(asked).toHaveLength(131_072);
    expect(turns).toBeGreaterThan(0);
    const more = parseSafetensors(file(`{${members(131_073, place)}}`));
    await expectReject(more, 'ERR_FILE_FORMAT', 'describes over 131072 tensors');
  });

  test('metadata', async () => {
    const metadata = (count: number) => file(`{"__metadata__":{${members(count, '""')}}}`);
    expect(Object.keys((await parseSafetensors(metadata(131_072))).metadata)).toHaveLength(131_072);
    await expectReject(parseSafetensors(metadata(131_073)), 'ERR_FILE_FORMAT', 'over 131072 entries');
    const long = file(`{"__metadata__":{"k":"${'x'.repeat(2 ** 22 + 1)}"}}`);
    await expectReject(parseSafetensors(long), 'ERR_FILE_FORMAT', 'a string of over 4194304 bytes');
  });

  test.each([
    ['empty objects', () => `{${members(2_000_000, '{}')}}`, /has no dtype/],
    ['a shape of zeros', () => `{"a":{"shape":[${'0,'.repeat(10_000_000)}0]}}`, /at most 64 integers/],
    ['a long number', () => `{"a":{"shape":[${'9'.repeat(20_000_000)}]}}`, /unexpected/],
    ['a long name', () => `{"${'n'.repeat(20_000_000)}":{}}`, /over 65536 bytes/],
    ['unknown fields', () => `{"a":{${members(1_000_000, 'null')}}}`, /over 65536 bytes/],
  ])('%s are refused when the first is over the budget', async (_, header, message) => {
    await expectReject(parseSafetensors(file(header())), 'ERR_FILE_FORMAT', message);
  });

  test('padding of any length', async () => {
    expect((await parseSafetensors(file(`{}${' '.repeat(1_000_000)}`))).entries).toEqual({});
  });
});

describe('dtypes that become wider ones', () => {
  test.each<[string, DType, number[], string[]]>([
    ['I8', 'int32', [0x80, 0x7f], ['-128', '127']],
    ['I16', 'int32', [0, 0x80, 1, 0], ['-32768', '1']],
    ['U16', 'int32', [0xff, 0xff, 1, 0], ['65535', '1']],
    ['U32', 'int64', [0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0], ['4294967295', '1']],
    ['U64', 'int64', [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40], ['1', '4611686018427387904']],
    ['F8_E4M3', 'float32', [0x38, 0x7e], ['1', '448']],
    ['F8_E5M2', 'float32', [0x3c, 0x7c], ['1', 'Infinity']],
    ['F8_E8M0', 'float32', [0x7f, 0x80], ['1', '2']],
    ['F8_E4M3FNUZ', 'float32', [0x40, 0x80], ['1', 'NaN']],
    ['F8_E5M2FNUZ', 'float32', [0x40, 0x80], ['1', 'NaN']],
  ])('%s is read as %s', async (formatDtype, dtype, bytes, values) => {
    const header = `{"a":{"dtype":"${formatDtype}","shape":[2],"data_offsets":[0,${bytes.length}]}}`;
    const { a } = (await parseSafetensors(file(header, bytes))).entries;
    expect({ ...a, data: Array.from(a?.data ?? [], String) }).toEqual({ dtype, shape: [2], data: values });
  });

  test('in several reads', async () => {
    const count = 2 ** 18 + 3;
    const header = `{"a":{"dtype":"I8","shape":[${count}],"data_offsets":[0,${count}]}}`;
    const data = Array.from({ length: count }, (_, i) => i % 127);
    const { a } = (await parseSafetensors(file(header, data))).entries;
    expect(a?.data.every((value, i) => value === i % 127)).toBe(true);
  });

  test('a number that the wider dtype lacks is an error', async () => {
    const header = '{"a":{"dtype":"U64","shape":[],"data_offsets":[0,8]}}';
    const reading = parseSafetensors(file(header, new Array<number>(8).fill(0xff)));
    await expectReject(reading, 'ERR_FILE_FORMAT', 'tensor "a" holds 18446744073709551615');
  });
});

describe('a filter', () => {
  const beside = (dtype: string, bytes: number) =>
    file(`{${A},"other":{"dtype":"${dtype}","shape":[4],"data_offsets":[2,${2 + bytes}]}}`, [
      1,
      2,
      ...new Array<number>(bytes).fill(9),
    ]);

  test.each([
    ['F4', 2],
    ['F6_E2M3', 3],
    ['C64', 32],
    ['NOT_YET_KNOWN', 7],
  ])('leaves out %s, which is refused where it is asked for', async (dtype, bytes) => {
    const content = beside(dtype, bytes);
    await expectReject(parseSafetensors(content), 'ERR_FILE_FORMAT', `tensor "other" has dtype "${dtype}"`);
    const { entries } = await parseSafetensors(content, 'x', (name) => name === 'a');
    expect(describedAll(entries)).toEqual([['a', { dtype: 'uint8', shape: [2], hex: '0102' }]]);
  });

  test('reads only what passes', async () => {
    const bytes = file(`{${A},"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}}`, [1, 2, 3, 4, 5]);
    const read: [number, number][] = [];
    const source = {
      size: bytes.length,
      read: (target: Uint8Array, position: number) => {
        read.push([position, target.length]);
        target.set(bytes.subarray(position, position + target.length));
        return Promise.resolve();
      },
    };
    const { entries } = await readSafetensorsFrom(source, 'x', {
      filter: (name) => name === 'b',
      allocate: allocateInJavaScript,
    });
    expect([...(entries.b?.data ?? [])]).toEqual([3, 4, 5]);
    expect(read).toEqual([
      [0, 8],
      [8, bytes.length - 13],
      [bytes.length - 3, 3],
    ]);
  });

  test('gives booleans; its own errors pass', async () => {
    const asked = (filter: unknown) =>
      parseSafetensors(tensorFile({}), 'x', filter as (name: string) => boolean);
    await expectReject(
      asked(() => Promise.resolve(true)),
      'ERR_INVALID_ARG_TYPE',
      /a boolean for `options.filter`/,
    );
    await expectReject(
      asked(() => undefined),
      'ERR_INVALID_ARG_TYPE',
      /received undefined/,
    );
    const own = new RangeError('mine');
    await expect(
      asked(() => {
        throw own;
      }),
    ).rejects.toBe(own);
  });
});
