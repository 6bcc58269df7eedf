import { KEY_FAMILIES } from '../../../lib/weights/key-families';
import { FORMS } from '../../../lib/weights/forms';
import { examineWeights, recognise, type Shaped } from '../../../lib/weights/recognise';
import { familyOf, ownShapes, shapesOf, sizesFor, SIZES } from './support';

const v11 = familyOf('tokenlearner', 'v11');
const families = KEY_FAMILIES.map((family) => [`${family.id} ${family.form}`, family] as const);

test.each(families)('%s: recognised alone, by its names, with all options', (_, family) => {
  const found = recognise(shapesOf(family));
  expect(found.map(({ source, form }) => [source, form])).toEqual([[family.id, family.form]]);
  const [first] = found;
  const { module, options } = FORMS[family.form];
  expect(first).toMatchObject({ module, prefix: '', options: { ...options, dim: SIZES.C } });
  expect(first?.options[module === 'TokenFuser' ? 'numTokens' : 'numOutputTokens']).toBe(SIZES.G);
  expect(first?.confidence).toBe(family.distinctive ? 'certain' : 'likely');
  expect(Object.fromEntries((first?.mapping ?? []).map(({ key, shape }) => [key, shape]))).toEqual(
    ownShapes(family.form, sizesFor(family)),
  );
});

test.each(families)('%s: the same under a prefix, with slashes, beside other tensors', (_, family) => {
  const dict = {
    ...shapesOf(family, { prefix: 'params/Transformer_0/', separator: '/' }),
    'params/other/kernel': { shape: [3, 3] },
  };
  const [first, ...others] = recognise(dict);
  expect(others).toEqual([]);
  expect(first).toMatchObject({ source: family.id, prefix: 'params/Transformer_0/' });
  expect(first?.mapping.every(({ from }) => from in dict)).toBe(true);
});

test.each([
  [1, 3],
  [2, 2],
])('pointwise convolutions in layout %i have %i axes', (layout) => {
  const family = familyOf('maruya24', 'v11');
  const [found] = recognise(shapesOf(family, { layout }));
  expect(found?.mapping.find(({ key }) => key === 'mlp.0.weight')?.shape).toEqual([5, 16]);
});

test('[in, out] kernels are transposed, 3x3 kernels go from HWIO to OIHW', () => {
  const [dense] = recognise(shapesOf(familyOf('flax', 'v11')));
  expect(dense?.mapping.find(({ key }) => key === 'mlp.0.weight')).toMatchObject({
    from: 'token_masking.Dense_0.kernel',
    permute: [1, 0],
    shape: [5, 16],
  });
  const [convolution] = recognise(shapesOf(familyOf('flax', 'v10')));
  expect(convolution?.mapping.find(({ key }) => key === 'attention.0.weight')).toMatchObject({
    permute: [3, 2, 0, 1],
    shape: [3, 16, 3, 3],
  });
  const [fuser] = recognise(shapesOf(familyOf('flax', 'fuser')));
  expect(fuser?.mapping.find(({ key }) => key === 'mix.weight')?.permute).toEqual([1, 0]);
});

test("TensorFlow's checkpoint names", () => {
  const end = '/.ATTRIBUTES/VARIABLE_VALUE';
  const prefix = 'agent/_actor_network/_image_tokenizer/_token_learner/';
  const shapes = shapesOf(familyOf('rt1', 'v11'), { prefix, separator: '/' });
  const dict = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name + end, shape]));
  const [found] = recognise(dict);
  expect(found).toMatchObject({ source: 'rt1', prefix, confidence: 'certain' });
  expect(found?.mapping[0]?.from).toBe(`${prefix}layernorm/gamma${end}`);
});

describe("flax's variants a and b have the same names", () => {
  const shapes = (C: number, groups: number) =>
    shapesOf(familyOf('flax', 'v11-a'), { sizes: { C, G: 4, N: C / groups } });

  test.each([
    [64, 8, 'a'],
    [64, 1, 'b'],
    [512, 4, 'b'],
    [2048, 8, 'a'],
    [2048, 16, 'b'],
  ])('%i channels in %i groups are variant %s', (channels, groups, variant) => {
    const found = recognise(shapes(channels, groups));
    expect(found.map(({ options }) => options)).toEqual([expect.objectContaining({ variant, groups })]);
    expect(found[0]?.confidence).toBe('certain');
  });

  test.each([
    [1024, 8],
    [64, 4],
  ])('%i channels in %i groups may be either', (channels, groups) => {
    const found = recognise(shapes(channels, groups));
    expect(found.map(({ options }) => options.variant)).toEqual(['a', 'b']);
    expect(found.map(({ confidence }) => confidence)).toEqual(['possible', 'possible']);
  });
});

describe('TokenLearner', () => {
  const layer = (i: number, rows: number, columns: number) => ({
    [`net.${2 * i}.weight`]: { shape: [rows, columns, 1, 1] },
    [`net.${2 * i}.bias`]: { shape: [rows] },
  });

  test.each([
    [1, layer(0, 4, 6), { ffMult: 1 }, 'possible'],
    [2, { ...layer(0, 48, 6), ...layer(1, 4, 12) }, { ffMult: 2 }, 'certain'],
    [3, { ...layer(0, 48, 6), ...layer(1, 48, 12), ...layer(2, 4, 12) }, { ffMult: 2 }, 'certain'],
  ])('%i layers', (numLayers, dict, options, confidence) => {
    expect(recognise(dict)).toEqual([
      expect.objectContaining({
        module: 'TokenLearner',
        options: { dim: 6, numOutputTokens: 4, numLayers, ...options },
        confidence,
      }),
    ]);
  });

  test('one token: any two convolutions may have these names and shapes', () => {
    expect(recognise({ ...layer(0, 12, 6), ...layer(1, 1, 12) })[0]?.confidence).toBe('likely');
  });

  test('not if it would drop a tensor', () => {
    const dict = { ...layer(0, 48, 6), ...layer(1, 4, 12), 'net.1.weight': { shape: [48] } };
    expect(examineWeights(dict)).toEqual({
      recognitions: [],
      misfits: [expect.objectContaining({ problem: 'it has "net.1.weight", which no TokenLearner has' })],
    });
  });

  test('not if a layer does not fit the next', () => {
    expect(recognise({ ...layer(0, 48, 6), ...layer(1, 4, 11) })).toEqual([]);
  });
});

describe('a tensor of the submodules that the module would drop: not recognised', () => {
  test.each(families)('%s: a bias, or something else beside a weight', (_, family) => {
    for (const [name] of Object.values(family.keys)) {
      const stem = name.slice(0, name.lastIndexOf('.'));
      for (const prefix of ['', 'a.']) {
        const dict = shapesOf(family, { prefix });
        const strays = ['bias', 'running_mean'].map((each) => `${prefix}${stem}.${each}`);
        for (const stray of strays.filter((each) => !(each in dict))) {
          const { recognitions, misfits } = examineWeights({ ...dict, [stray]: { shape: [16] } });
          expect(recognitions).toEqual([]);
          expect(misfits.map(({ problem }) => problem)).toContain(
            `it has "${stray}", which no ${FORMS[family.form].module} has`,
          );
        }
      }
    }
  });

  test.each([
    ['v11', 'mlp.4.weight'],
    ['v11', 'mlp.1.weight'],
    ['v10', 'attention.1.weight'],
    ['v10', 'attention.8.weight'],
  ] as const)('%s: another layer %s', (form, stray) => {
    const shapes = shapesOf(familyOf('tokenlearner', form));
    expect(recognise({ ...shapes, [stray]: { shape: [3] } })).toEqual([]);
  });

  test("what stands beside the submodules, and what TensorFlow's optimizers keep, is none", () => {
    const shapes = shapesOf(familyOf('rt1', 'v11'), { separator: '/' });
    const end = '/.ATTRIBUTES/VARIABLE_VALUE';
    const dict = Object.fromEntries(
      Object.entries(shapes).flatMap(([name, shape]) => [
        [name + end, shape],
        [`${name}/.OPTIMIZER_SLOT/optimizer/m${end}`, shape],
      ]),
    );
    expect(recognise(dict)).toEqual([expect.objectContaining({ source: 'rt1', confidence: 'likely' })]);
    const beside = { ...shapes, 'mlps/bias': { shape: [1] }, step: { shape: [] } };
    expect(recognise(beside)).toHaveLength(1);
  });
});

describe('a part of a module that lacks a tensor is no other module', () => {
  test.each(['tokenlearner', 'flax'])('%s: a TokenFuser', (id) => {
    const family = familyOf(id, 'fuser');
    for (const missing of Object.values(family.keys).map(([name]) => name)) {
      const dict = { ...shapesOf(family) } as Record<string, Shaped>;
      Reflect.deleteProperty(dict, missing);
      const { recognitions, misfits } = examineWeights(dict);
      expect(recognitions).toEqual([]);
      expect(misfits).toContainEqual(
        expect.objectContaining({ module: 'TokenFuser', problem: `it has no ${missing}` }),
      );
    }
  });

  test('a wrong shape counts as missing', () => {
    const dict = { ...shapesOf(familyOf('tokenlearner', 'fuser')), 'norm2.weight': { shape: [1] } };
    expect(recognise(dict)).toEqual([]);
  });
});

test("this package's names that other models' blocks have are not certain", () => {
  const shapes = (form: 'v11' | 'fuser-plain', sizes = SIZES) =>
    shapesOf(familyOf('tokenlearner', form), { sizes });
  expect(recognise(shapes('v11'))[0]?.confidence).toBe('likely');
  expect(recognise(shapes('fuser-plain'))[0]?.confidence).toBe('likely');
  const block = shapes('v11', { C: 8, D: 32, G: 8 });
  expect(recognise(block)[0]?.confidence).toBe('possible');
});

test.each([
  ['xiamenwcy', 'v11-b', { eps: 1e-5, approximate: 'none' }, /after feat_conv/],
  ['kashu7100', 'v11', { approximate: 'none' }, /GroupNorm.*pixel by pixel/],
] as const)('%s %s: the options, and the differences that no option has', (id, form, arithmetic, differs) => {
  const [found] = recognise(shapesOf(familyOf(id, form)));
  expect(found?.arithmetic).toEqual(arithmetic);
  expect(found?.differs).toMatch(differs);
});

test('names are counted without a look at each of them for each prefix', () => {
  const count = 500;
  const dict = Object.fromEntries(
    Array.from({ length: count }, (_, i) =>
      Object.entries(shapesOf(v11, { prefix: `${'p'.repeat(50)}.${i}.` })),
    ).flat(),
  );
  const startsWith = jest.spyOn(String.prototype, 'startsWith');
  try {
    expect(recognise(dict)).toHaveLength(count);
    expect(startsWith.mock.calls.length).toBeLessThan(10 * count);
  } finally {
    startsWith.mockRestore();
  }
});

test('layers of a ConvNeXt have the names of a port; more tokens than channels are only possible', () => {
  const family = familyOf('svfap', 'v11');
  const [found] = recognise(shapesOf(family, { sizes: { C: 8, D: 32, G: 8 } }));
  expect(found?.confidence).toBe('possible');
});

test('no names, or wrong shapes: nothing', () => {
  expect(recognise({})).toEqual([]);
  expect(recognise({ 'norm.weight': { shape: [3] } })).toEqual([]);
  const dict = shapesOf(familyOf('flax', 'v11'));
  expect(recognise({ ...dict, 'LayerNorm_0.scale': { shape: [17] } })).toEqual([]);
});
