/** Long arrays of numbers in JSON: what JSON.parse makes of them, for each text, right or wrong. */
import type { AnyTensor, DType } from 'tokenlearner';
import { parseJson } from '../lib/protocol';
import { tensorOfJson } from '../lib/values';
import { JsonNumbers } from '../lib/json-numbers';

const DEPTH = 32;

/** A generator of numbers from 0 to 1, the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const dataOf = (json: unknown): unknown => (json as { inputs: [{ data: unknown }] }).inputs[0].data;
const requestOf = (data: string): Buffer => Buffer.from(`{"inputs":[{"name":"x","data" : ${data}}]}`);

/** The numbers of a text under the key `data`, read directly. */
function read(text: string, shape: readonly number[], Target = Float32Array): number[] {
  const data = dataOf(parseJson(requestOf(text), DEPTH));
  expect(data).toBeInstanceOf(JsonNumbers);
  const target = new Target(shape.reduce((product, size) => product * size, 1));
  (data as JsonNumbers).fill('x', shape, target);
  return [...target];
}

const bits = new DataView(new ArrayBuffer(8));

/** Texts of numbers of every kind. */
function* texts(seed: number, count: number): Generator<string> {
  const next = random(seed);
  const below = (n: number): number => Math.floor(next() * n);
  const digits = (n: number): string => Array.from({ length: n }, () => below(10)).join('');
  const kinds: (() => string)[] = [
    () => String(Math.fround(next() * 2 - 1)),
    () => String(next() * 10 ** (below(40) - 20)),
    () => (next() * 2 - 1).toFixed(1 + below(20)),
    () => String(below(2 ** 31) - 2 ** 30),
    () => `${below(10)}.${digits(1 + below(30))}`,
    () => `-${1 + below(9)}${digits(below(25))}`,
    () =>
      `${1 + below(9)}.${digits(1 + below(18))}${next() < 0.5 ? 'e' : 'E'}${['', '+', '-'][below(3)]}${below(38)}`,
    () => `0.${'0'.repeat(below(50))}${digits(1 + below(20))}`,
    () =>
      ['0', '-0', '0e5', '-0.0', '1e-400', '0.1e1', '3.4028235e38', '1.1754944e-38', '1e-45', '7e-46'][
        below(10)
      ] ?? '0',
    // Between two neighbours in float32, and next to it.
    () => {
      bits.setUint32(0, below(0x7f000000));
      const low = bits.getFloat32(0);
      bits.setUint32(0, bits.getUint32(0) + 1);
      const middle = (low + bits.getFloat32(0)) / 2;
      return middle.toPrecision(15 + below(7));
    },
  ];
  for (let i = 0; i < count; i++) yield (kinds[i % kinds.length] as () => string)();
}

it.each([Float32Array, Float64Array])('%p: numbers are those of JSON.parse, bit for bit', (Target) => {
  for (let seed = 1; seed <= 20; seed++) {
    const found = [...texts(seed, 2000)];
    const text = `[${found.join([',', ' ,', ',\n\t'][seed % 3])}]`;
    const expected = Target.from(JSON.parse(text) as number[]);
    const numbers = read(text, [found.length], Target as typeof Float32Array);
    const wrong = numbers.findIndex((value, i) => !Object.is(value, expected[i]));
    expect([found[wrong], numbers[wrong]]).toEqual([found[wrong], expected[wrong]]);
  }
});

it('texts that are no JSON are refused, as by JSON.parse', () => {
  const long = Array.from({ length: 600 }, (_, i) => i).join(',');
  const parts = [
    '1,,2',
    '1,',
    ',1',
    '01',
    '1.',
    '.5',
    '+1',
    '1e',
    '1e+',
    '--1',
    '1 2',
    '-',
    '1.e5',
    '0x1',
    '[1',
    '1]',
    '1e5.5',
    '-01',
    '1-2',
    '00',
    '1E',
    'e5',
    '1,]',
    '[,1]',
    '[1,[2]',
    '1 .5',
    '- 1',
    '1\u00a0',
  ];
  for (const part of parts) {
    for (const text of [`[${long},${part}]`, `[${part},${long}]`, `[${part},${long},${part}]`]) {
      expect(() => JSON.parse(text) as unknown).toThrow();
      const parse = (): unknown =>
        tensorOfJson('x', dataOf(parseJson(requestOf(text), DEPTH)), [601], 'float32');
      expect(parse).toThrow(expect.objectContaining({ kind: 'invalid' }) as Error);
    }
  }
});

it('arrays that nobody reads are JSON too', () => {
  const long = Array.from({ length: 600 }, (_, i) => i).join(',');
  const requests: ((array: string) => string)[] = [
    (array) => `{"inputs":[{"name":"x","data":${array},"data":[1]}]}`,
    (array) => `{"inputs":[{"name":"x","data":[1],"parameters":{"data":${array}}}]}`,
    (array) => `{"parameters":{"data":${array}},"inputs":[{"name":"x","data":[${long}]}]}`,
    (array) => `{"inputs":{"data":${array}}}`,
    (array) => `[{"data":${array}}]`,
  ];
  for (const request of requests) {
    expect(() => parseJson(Buffer.from(request(`[${long}]`)), DEPTH)).not.toThrow();
    for (const part of ['1 2', ',', '--', '01', '1,]'])
      expect(() => parseJson(Buffer.from(request(`[${long},${part}]`)), DEPTH)).toThrow('not JSON');
  }
});

describe.each([[1], [600]])('%d numbers', (length) => {
  const tensorOf = (last: string, dtype: DType): AnyTensor => {
    const text = `[${'1,'.repeat(length - 1)}${last}]`;
    return tensorOfJson('x', dataOf(parseJson(requestOf(text), DEPTH)), [length], dtype);
  };

  it.each(['float64', 'float32', 'float16', 'bfloat16', 'int32'] as const)(
    'are infinite in %s only where they say so',
    (dtype) => {
      for (const text of ['1e309', '-1e400', `1${'0'.repeat(400)}`])
        expect(() => tensorOf(text, dtype)).toThrow(expect.objectContaining({ kind: 'invalid' }) as Error);
      if (dtype === 'int32') return;
      for (const text of ['Infinity', '-Infinity', 'NaN'])
        expect(tensorOf(`"${text}"`, dtype).to('float64').data.at(-1)).toBe(Number(text));
    },
  );
});

it('numbers of a message can be infinite, where the datatype does not make them so', () => {
  const { data } = tensorOfJson('x', [Infinity, -Infinity, NaN, 1], [4], 'float32', 'message');
  expect([...data]).toEqual([Infinity, -Infinity, NaN, 1]);
  expect(() => tensorOfJson('x', [1e39], [1], 'float32', 'message')).toThrow('out of range');
});

describe('shapes', () => {
  const values = Array.from({ length: 720 }, (_, i) => i / 8);
  const nested = (shape: readonly number[], flat: readonly number[]): unknown => {
    const [size = 1, ...rest] = shape;
    if (rest.length === 0) return flat;
    const step = flat.length / size;
    return Array.from({ length: size }, (_, i) => nested(rest, flat.slice(i * step, (i + 1) * step)));
  };

  it('flat and nested data give the same tensor', () => {
    for (const shape of [[720], [2, 360], [2, 3, 120], [1, 5, 12, 12]]) {
      for (const space of [0, 1]) {
        expect(read(JSON.stringify(nested(shape, values), null, space), shape)).toEqual(values);
        expect(read(JSON.stringify(values, null, space), shape)).toEqual(values);
      }
    }
  });

  it.each<[string, unknown, string]>([
    ['fewer numbers', values.slice(1), 'Expected 720 numbers for `x` of shape [2, 3, 120] but received 719'],
    ['more numbers', [...values, 1, 2], 'but received 722'],
    ['one level less', nested([6, 120], values), 'dimension 2 is not 120'],
    ['shallow parts', nested([2, 360], values), 'dimension 2 is not 120'],
    ['one level more', nested([2, 3, 120, 1], values), 'dimension 2 is not 120'],
    ['another order', nested([3, 2, 120], values), 'dimension 1 is not 3'],
    ['a longer row', nested([2, 3, 121], [...values, 1, 2, 3, 4, 5, 6]), 'dimension 2 is not 120'],
    ['a shorter row', nested([2, 3, 119], values.slice(6)), 'dimension 2 is not 120'],
    ['an empty row', [[[], []], nested([3, 120], values)], 'dimension 2 is not 120'],
    ['one part too few', nested([1, 3, 240], values), 'dimension'],
    ['numbers beside parts', [values.slice(0, 400), 5], 'dimension'],
    ['parts beside numbers', [5, ...values, [1]], 'but received'],
  ])('%s are refused', (_, data, message) => {
    expect(() => read(JSON.stringify(data), [2, 3, 120])).toThrow(message);
  });
});

it('numbers for a tensor without elements are refused', () => {
  const text = JSON.stringify(Array.from({ length: 600 }, (_, i) => i));
  expect(() => read(text, [0])).toThrow('Expected 0 numbers for `x` of shape [0] but received 600');
  expect(() => read(`[${text}]`, [1, 0])).toThrow('dimension 1 is not 0');
});

it('other dtypes are converted and checked as numbers that JSON.parse gave', () => {
  const make = (
    numbers: readonly (number | string)[],
    dtype: 'int32' | 'int64' | 'uint8' | 'float16' | 'float64',
  ): unknown => {
    const tensor = tensorOfJson(
      'x',
      dataOf(parseJson(requestOf(`[${numbers.join()}]`), DEPTH)),
      [numbers.length],
      dtype,
    );
    return [tensor.dtype, ...tensor.to('float64').data.slice(0, 3)];
  };
  const some = Array.from({ length: 700 }, (_, i) => i % 200);
  for (const dtype of ['int32', 'int64', 'uint8', 'float16', 'float64'] as const)
    expect(make(some, dtype)).toEqual([dtype, 0, 1, 2]);
  expect(() => make([...some, 256], 'uint8')).toThrow('an integer from 0 to 255 at index 700 of `x`');
  expect(() => make([...some, 0.5], 'int32')).toThrow('at index 700');
  expect(() => make([...some, '1e39'], 'float16')).toThrow(
    'The number 1e+39 at index 700 of `x` is out of range',
  );
});

describe('what is read directly', () => {
  const long = `[${Array.from({ length: 600 }, (_, i) => i).join()}]`;
  const parsed = (text: string): unknown => parseJson(Buffer.from(text), DEPTH);

  it('is data of numbers in an input, and nothing else', () => {
    for (const text of [
      `{"inputs":[{"values":${long}}]}`,
      `{"inputs":[{"x\\"data":${long}}]}`,
      `{"inputs":[{"data":"data","x":${long}}]}`,
      `{"inputs":[{"data":[1,2,3]}]}`,
      `{"inputs":[{"data":${long.replace('5', '"NaN"')}}]}`,
      `{"inputs":[{"data":${long.replace('5', 'true')}}]}`,
      `{"inputs":{"0":"data:"},"data":"[1,2"}`,
      long,
    ])
      expect(parsed(text)).toEqual(JSON.parse(text));
    const several = parsed(`{"inputs":[{"data":${long}},{"data":"é"},{"data":${long}}],"id":"ü"}`);
    expect(several).toMatchObject({ inputs: [{}, { data: 'é' }, {}], id: 'ü' });
    const { inputs } = several as { inputs: { data: unknown }[] };
    expect(inputs.map(({ data }) => data instanceof JsonNumbers)).toEqual([true, false, true]);
    expect(inputs[0]?.data).not.toBe(inputs[2]?.data);
  });

  it('counts for the depth', () => {
    const deep = (levels: number): string =>
      `{"inputs":[{"data":${'['.repeat(levels)}${long}${']'.repeat(levels)}}]}`;
    expect(dataOf(parsed(deep(28)))).toBeInstanceOf(JsonNumbers);
    expect(() => parsed(deep(29))).toThrow('nested deeper than 32 levels');
  });
});
