/** The modules that weights can belong to, and this package's names and layouts of their parameters. */

/** The modules of the family. */
export type FamilyModule = 'TokenLearner' | 'TokenLearnerV10' | 'TokenLearnerV11' | 'TokenFuser';

/** What a module is made of. A module has several forms where its parameters depend on an option. */
export type FormName = 'v10' | 'v11' | 'v11-a' | 'v11-b' | 'fuser' | 'fuser-plain';

/** A form of a module. C: channels, G: tokens, D: bottleneck, N: input channels of a group. */
export interface Form {
  readonly module: FamilyModule;
  /** The option values that the form stands for. */
  readonly options: Readonly<Record<string, string | boolean>>;
  /** The layout of each parameter, by this package's names. */
  readonly parameters: Readonly<Record<string, string>>;
}

const NORM = { 'norm.weight': 'C', 'norm.bias': 'C' } as const;
const MLP = { 'mlp.0.weight': 'D C', 'mlp.0.bias': 'D', 'mlp.2.weight': 'G D', 'mlp.2.bias': 'G' } as const;
const MIX = { 'mix.weight': "G G'", 'mix.bias': 'G' } as const;
const MIX_NORMS = { 'norm1.weight': 'C', 'norm1.bias': 'C', 'norm2.weight': 'C', 'norm2.bias': 'C' } as const;
const GROUPED = 'C N 1 1';

/** All forms. The names are those of the modules' state dicts; the layouts are PyTorch's. */
export const FORMS: Readonly<Record<FormName, Form>> = {
  v10: {
    module: 'TokenLearnerV10',
    options: {},
    parameters: {
      ...NORM,
      'attention.0.weight': 'G C 3 3',
      'attention.2.weight': "G G' 3 3",
      'attention.4.weight': "G G' 3 3",
      'attention.6.weight': "G G' 3 3",
    },
  },
  v11: { module: 'TokenLearnerV11', options: { variant: 'd' }, parameters: { ...NORM, ...MLP } },
  // A GELU between the two convolutions tells b from a; it takes an index, as in nn.Sequential.
  'v11-a': {
    module: 'TokenLearnerV11',
    options: { variant: 'a' },
    parameters: {
      ...NORM,
      'attention.0.weight': GROUPED,
      'attention.1.weight': 'G C 1 1',
      'value.weight': GROUPED,
    },
  },
  'v11-b': {
    module: 'TokenLearnerV11',
    options: { variant: 'b' },
    parameters: {
      ...NORM,
      'attention.0.weight': GROUPED,
      'attention.2.weight': 'G C 1 1',
      'value.weight': GROUPED,
    },
  },
  // norm1 and norm2 are of the tokens, around the mix; norm is of the original.
  fuser: {
    module: 'TokenFuser',
    options: { useNormalization: true },
    parameters: { ...MIX_NORMS, ...MIX, ...NORM, ...MLP },
  },
  'fuser-plain': {
    module: 'TokenFuser',
    options: { useNormalization: false },
    parameters: { ...MIX, ...NORM, ...MLP },
  },
};

/** The groups of variant a's convolutions: always 8. Of b's: by the channels. */
export function officialGroups(variant: 'a' | 'b', channels: number): number {
  if (variant === 'a') return 8;
  return channels < 256 ? 1 : Math.floor(channels / 128);
}
