import { chooseWeights, type WeightsChoice } from '../../../lib/weights/choose';
import { familyOf, shapesOf } from './support';

const v11 = familyOf('flax', 'v11');

function problem(dict: Record<string, { shape: number[] }>, choice: WeightsChoice): string {
  try {
    chooseWeights(dict, choice);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_STATE_DICT' });
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

const twice = {
  ...shapesOf(v11, { prefix: 'a/', separator: '/' }),
  ...shapesOf(v11, { prefix: 'b/', separator: '/' }),
} as Record<string, { shape: number[] }>;

test('one: any prefix', () => {
  const dict = shapesOf(v11, { prefix: 'params/x/', separator: '/' });
  expect(chooseWeights(dict, { module: 'TokenLearnerV11' })).toMatchObject({ prefix: 'params/x/' });
});

test('several: the message names `prefix`, and with or without its separator it chooses one', () => {
  expect(problem(twice, { module: 'TokenLearnerV11' })).toContain('choose one with `prefix`: "a/", "b/"');
  for (const prefix of ['b', 'b/', 'b.'])
    expect(chooseWeights(twice, { module: 'TokenLearnerV11', prefix })).toMatchObject({ prefix: 'b/' });
});

test('variants: the message names `variant`, which chooses one', () => {
  const dict = shapesOf(familyOf('flax', 'v11-a'), { sizes: { C: 1024, N: 128, G: 8 } });
  const text = problem(dict as typeof twice, { module: 'TokenLearnerV11' });
  expect(text).toContain("choose one with `variant`: 'a', 'b'");
  expect(chooseWeights(dict, { module: 'TokenLearnerV11', variant: 'b' }).options).toMatchObject({
    variant: 'b',
  });
});

/** Blocks of a ConvNeXt by timm: a norm, an MLP and a scale. */
const blocks = {
  ...shapesOf(familyOf('svfap', 'v11'), { prefix: 'stages.0.', sizes: { C: 16, D: 64, G: 16 } }),
  ...shapesOf(familyOf('svfap', 'v11'), { prefix: 'stages.1.', sizes: { C: 16, D: 64, G: 16 } }),
  'stages.0.gamma': { shape: [16] },
  'stages.1.gamma': { shape: [16] },
} as Record<string, { shape: number[] }>;

test('blocks of other models that have such names do not count where a module is surer', () => {
  for (const [id, form] of [
    ['flax', 'v11'],
    ['tokenlearner', 'v11'],
    ['maruya24', 'v11'],
  ] as const) {
    const dict = { ...blocks, ...shapesOf(familyOf(id, form), { prefix: 'tokens.' }) };
    expect(chooseWeights(dict, { module: 'TokenLearnerV11' })).toMatchObject({ prefix: 'tokens.' });
    expect(chooseWeights(dict, { module: 'TokenLearnerV11', prefix: 'stages.1' }).source).toBe('svfap');
  }
  expect(problem(blocks, { module: 'TokenLearnerV11' })).toContain('"stages.0.", "stages.1."');
  const doubtful = shapesOf(familyOf('flax', 'v11-a'), { prefix: 'b.', sizes: { C: 1024, N: 128, G: 8 } });
  const dict = { ...doubtful, ...shapesOf(v11, { prefix: 'a.' }) } as typeof twice;
  expect(problem(dict, { module: 'TokenLearnerV11' })).toContain('choose one with `prefix`: "a.", "b."');
});

test('blocks that lack some names do not hide what is there', () => {
  const lacking = Object.fromEntries(
    Object.entries(blocks).filter(([name]) => !name.endsWith('.norm.weight')),
  );
  const v10 = shapesOf(familyOf('tokenlearner', 'v10'), { prefix: 'tokens.' });
  const text = problem({ ...lacking, ...v10 } as typeof twice, { module: 'TokenLearnerV11' });
  expect(text).toContain('the state dict has a TokenLearnerV10 under "tokens."');
  expect(problem(lacking, { module: 'TokenLearnerV11' })).toContain('it has no norm.weight');
});

test('names and prefixes in messages are escaped', () => {
  const prefix = 'a\x1b[2J\x9b2J\u202e/';
  const shapes = { ...shapesOf(v11, { prefix, separator: '/' }) } as typeof twice;
  const bad = { ...shapes, [`${prefix}LayerNorm_0/bias`]: { shape: [17] } };
  const choices: [typeof twice, WeightsChoice][] = [
    [shapes, { module: 'TokenFuser' }],
    [shapes, { module: 'TokenLearnerV11', prefix: `b${prefix}` }],
    [{ ...shapes, ...twice }, { module: 'TokenLearnerV11' }],
    [bad, { module: 'TokenLearnerV11' }],
    [{ [prefix]: { shape: [1] } }, { module: 'TokenLearnerV10' }],
  ];
  for (const [dict, choice] of choices) {
    const text = problem(dict, choice);
    expect(text).toContain(String.raw`a\u001b[2J\u{9b}2J\u{202e}/`);
    expect(text).not.toMatch(/\p{C}/u);
  }
});

test.each<[string, Record<string, { shape: number[] }>, WeightsChoice, string]>([
  ['another module', twice, { module: 'TokenFuser' }, 'has a TokenLearnerV11 under "a/"'],
  [
    'another prefix',
    twice,
    { module: 'TokenLearnerV11', prefix: 'c' },
    'under "c", but the state dict has a',
  ],
  ['nothing', {}, { module: 'TokenLearnerV10' }, 'the state dict is empty'],
  ['other names', { 'a.weight': { shape: [1] } }, { module: 'TokenLearnerV10' }, 'its keys are: "a.weight"'],
  [
    'a missing tensor',
    Object.fromEntries(
      Object.entries(twice).filter(([name]) => name.startsWith('a/') && !name.endsWith('1/bias')),
    ),
    { module: 'TokenLearnerV11' },
    'it has no token_masking.Dense_1.bias',
  ],
  [
    'a missing tensor, and the rest would be another module',
    Object.fromEntries(
      Object.entries(shapesOf(familyOf('tokenlearner', 'fuser')) as typeof twice).filter(
        ([name]) => name !== 'norm2.weight',
      ),
    ),
    { module: 'TokenFuser' },
    'it has no norm2.weight',
  ],
  [
    'a wrong shape, and other modules are there',
    {
      ...twice,
      ...(shapesOf(familyOf('tokenlearner', 'fuser')) as typeof twice),
      'norm2.weight': { shape: [1] },
    },
    { module: 'TokenFuser' },
    '"norm2.weight" has shape (1), which does not fit',
  ],
  [
    'a bias that the module would drop',
    { ...(shapesOf(familyOf('xiamenwcy', 'v10')) as typeof twice), 'attention_maps.0.bias': { shape: [3] } },
    { module: 'TokenLearnerV10' },
    'it has "attention_maps.0.bias", which no TokenLearnerV10 has',
  ],
  [
    'a wrong shape',
    { ...(shapesOf(v11) as typeof twice), 'LayerNorm_0.bias': { shape: [17] } },
    { module: 'TokenLearnerV11' },
    'has shape (17), which does not fit',
  ],
  [
    'the first fuser',
    { 'x/fuser_mix_norm1/scale': { shape: [4] }, 'x/Conv_0/kernel': { shape: [1, 1, 4, 2] } },
    { module: 'TokenFuser' },
    'the first TokenFuser',
  ],
])('%s: the message says it', (_, dict, choice, text) => {
  expect(problem(dict, choice)).toContain(text);
});
