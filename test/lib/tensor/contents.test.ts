import assert from 'node:assert';
import { type AnyTensor, Tensor } from '../../../lib';
import { DTYPES } from '../../../lib/dtype';

function disposed(): AnyTensor {
  const tensor = Tensor.ones([2]);
  tensor.dispose();
  return tensor;
}

function detached(): AnyTensor {
  const array = Float32Array.of(1, 1);
  const tensor = Tensor.from(array);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return tensor;
}

/** The outcome of each deep comparison: true if it takes `a` and `b` to be equal. */
function comparisons(a: unknown, b: unknown): Record<string, boolean> {
  const passes = (use: () => void): boolean => {
    try {
      use();
      return true;
    } catch (error) {
      // A failed comparison, with a message that could be made; no error of a tensor's own.
      expect(error).not.toHaveProperty('code', expect.stringMatching(/^ERR_(?!ASSERTION)/));
      return false;
    }
  };
  return {
    toEqual: passes(() => {
      expect(a).toEqual(b);
    }),
    toStrictEqual: passes(() => {
      expect(a).toStrictEqual(b);
    }),
    inObject: passes(() => {
      expect({ list: [a] }).toEqual({ list: [b] });
    }),
    not: !passes(() => {
      expect(a).not.toEqual(b);
    }),
    deepStrictEqual: passes(() => {
      assert.deepStrictEqual(a, b);
    }),
    deepEqual: passes(() => {
      assert.deepEqual(a, b);
    }),
  };
}

const all = (outcome: boolean): Record<string, boolean> => ({
  toEqual: outcome,
  toStrictEqual: outcome,
  inObject: outcome,
  not: outcome,
  deepStrictEqual: outcome,
  deepEqual: outcome,
});

test.each(DTYPES)('%s: equal and different elements', (dtype) => {
  const tensor = Tensor.from([0, 1, 1, 0], [2, 2]).to(dtype);
  expect(comparisons(tensor, tensor.clone())).toEqual(all(true));
  expect(comparisons(tensor, Tensor.from([0, 1, 1, 1], [2, 2]).to(dtype))).toEqual(all(false));
});

test.each<[string, () => AnyTensor, () => AnyTensor, boolean]>([
  ['another shape', () => Tensor.ones([4]), () => Tensor.ones([2, 2]), false],
  ['another shape without elements', () => Tensor.ones([0, 2]), () => Tensor.ones([0, 3]), false],
  ['another dtype', () => Tensor.ones([2]), () => Tensor.ones([2], { dtype: 'float64' }), false],
  ['the same elements in another order of memory', () => Tensor.eye(3).T, () => Tensor.eye(3), true],
  ['NaN', () => Tensor.from([NaN, 1]), () => Tensor.from([NaN, 1]), true],
  ['tensors without dimensions', () => Tensor.full([], 2), () => Tensor.full([], 3), false],
  ['two disposed tensors', disposed, disposed, false],
  ['a disposed and a live tensor', disposed, () => Tensor.ones([2]), false],
  ['a detached and a live tensor', detached, () => Tensor.ones([2]), false],
])('%s', (_, a, b, expected) => {
  expect(comparisons(a(), b())).toEqual(all(expected));
  expect(comparisons(b(), a())).toEqual(all(expected));
});

test('a tensor equals itself, even a disposed one', () => {
  const tensor = disposed();
  expect(comparisons(tensor, tensor)).toEqual(all(true));
});

test('a tensor does not equal an array or a plain object', () => {
  for (const other of [[1, 1], Float32Array.of(1, 1), Tensor.ones([2]).toJSON()])
    expect(comparisons(Tensor.ones([2]), other)).toMatchObject({
      toStrictEqual: false,
      deepStrictEqual: false,
    });
});

test('snapshots show the elements, or why there are none', () => {
  expect(Tensor.from([[1.5, NaN]])).toMatchInlineSnapshot(`
{
  "data": [
    [
      1.5,
      "NaN",
    ],
  ],
  "dtype": "float32",
  "shape": [
    1,
    2,
  ],
}
`);
  expect(disposed()).toMatchInlineSnapshot(`
{
  "dtype": "float32",
  "shape": [
    2,
  ],
  "state": "disposed",
}
`);
  expect(detached()).toMatchInlineSnapshot(`
{
  "dtype": "float32",
  "shape": [
    2,
  ],
  "state": "detached",
}
`);
});

test('messages show the elements that differ', () => {
  const message = (use: () => void): string => {
    try {
      use();
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  const [a, b] = [Tensor.from([1.25, 2]), Tensor.from([1.25, 3])];
  for (const text of [
    message(() => {
      expect(a).toEqual(b);
    }),
    message(() => {
      assert.deepStrictEqual(a, b);
    }),
  ]) {
    expect(text).toMatch(/- +3/);
    expect(text).toMatch(/\+ +2/);
  }
});

test('messages of toMatchObject show the property that differs', () => {
  const fail = (): void => {
    expect(Tensor.ones([2, 3]).T).toMatchObject({ shape: [2, 3], isContiguous: false });
  };
  expect(fail).toThrow(/"shape"/);
  expect(fail).not.toThrow(/`this`/);
});

test('the JSON of a tensor without elements cannot be used', () => {
  for (const [tensor, code] of [
    [disposed(), 'ERR_DISPOSED'],
    [detached(), 'ERR_DETACHED'],
  ] as const) {
    const failing = expect.objectContaining({ code }) as Error;
    expect(() => JSON.stringify(tensor)).toThrow(failing);
    expect(() => JSON.stringify(tensor.toJSON())).toThrow(failing);
    expect(() => tensor.toJSON().data).toThrow(failing);
  }
});

test('comparing reads the elements at that moment, without showing the memory', () => {
  const tensor = Tensor.zeros([2]);
  const twin = Tensor.zeros([2]);
  expect(tensor).toEqual(twin);
  tensor.copyFrom(Float32Array.of(0, 1));
  expect(comparisons(tensor, twin)).toEqual(all(false));
  expect(Object.getOwnPropertyNames(tensor)).not.toContain('data');
});
