import { KEY_FAMILIES } from '../../../lib/weights/key-families';
import { FORMS } from '../../../lib/weights/forms';
import { recognise } from '../../../lib/weights/recognise';
import { familyOf, ownShapes, shapesOf, sizesFor, SIZES } from './support';

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

  test('not if a layer does not fit the next', () => {
    expect(recognise({ ...layer(0, 48, 6), ...layer(1, 4, 11) })).toEqual([]);
  });
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
