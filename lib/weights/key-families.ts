/**
 * The names that weights of the family have in files, as data: for each source of weights the names and layouts of the tensors, by this
 * package's names of the parameters. Names have dots here; in a file a slash does as well.
 */
import { FORMS, type FormName } from './forms';

/** The name of a tensor in a file, and the layouts that it may have there. The first one is written. */
export type FileKey = readonly [name: string, ...layouts: string[]];

/** What a source's code computes with where the official code has other values. It is not in the file: pass it as options. */
export interface Arithmetic {
  readonly eps?: number;
  readonly approximate?: 'none';
  readonly pooling?: 'mean';
}

/** One source of weights, for one form of a module. */
export interface KeyFamily {
  /** Its name for `tokenlearner convert --to`. */
  readonly id: string;
  /** Its name for people. */
  readonly title: string;
  readonly form: FormName;
  readonly keys: Readonly<Record<string, FileKey>>;
  /** True if no other model is likely to have these names. */
  readonly distinctive: boolean;
  readonly arithmetic: Arithmetic;
  /** How the source's mathematics differs in a way that no option has. Its weights load, its numbers differ. */
  readonly differs?: string;
}

type Keys = Record<string, FileKey>;

const TORCH_LINEAR = ['D C', 'G D'] as const;
/** A convolution of size 1 over pixels: of two dimensions, of one, or a Linear. */
const POINTWISE = (layout: string): string[] => [`${layout} 1 1`, `${layout} 1`, layout];
const KERNEL_3X3 = ['3 3 C G', "3 3 G' G"] as const;

function pair(
  own: string,
  file: string,
  [weight, bias]: readonly [string, string] = ['weight', 'bias'],
): Keys {
  return { [`${own}.weight`]: [`${file}.${weight}`, 'C'], [`${own}.bias`]: [`${file}.${bias}`, 'C'] };
}

/** An MLP of two PyTorch layers. */
function torchMlp(first: string, second: string, conv = false): Keys {
  const [one, two] = TORCH_LINEAR;
  return {
    'mlp.0.weight': [`${first}.weight`, ...(conv ? POINTWISE(one) : [one])],
    'mlp.0.bias': [`${first}.bias`, 'D'],
    'mlp.2.weight': [`${second}.weight`, ...(conv ? POINTWISE(two) : [two])],
    'mlp.2.bias': [`${second}.bias`, 'G'],
  };
}

/** An MLP of two layers whose kernels are [in, out]. */
function kernelMlp(first: string, second: string): Keys {
  return {
    'mlp.0.weight': [`${first}.kernel`, 'C D'],
    'mlp.0.bias': [`${first}.bias`, 'D'],
    'mlp.2.weight': [`${second}.kernel`, 'D G'],
    'mlp.2.bias': [`${second}.bias`, 'G'],
  };
}

/** v1.0's four convolutions in PyTorch's layout. */
function torchConvolutions(names: readonly string[]): Keys {
  return Object.fromEntries(
    names.map((name, i) => [`attention.${2 * i}.weight`, [name, i === 0 ? 'G C 3 3' : "G G' 3 3"]]),
  );
}

const FLAX_NORM = pair('norm', 'LayerNorm_0', ['scale', 'bias']);
const FLAX_MLP = kernelMlp('token_masking.Dense_0', 'token_masking.Dense_1');
const FLAX_MIX: Keys = { 'mix.weight': ['Dense_0.kernel', "G' G"], 'mix.bias': ['Dense_0.bias', 'G'] };

/** Forms whose names in this package other models' blocks have too: a norm and an MLP. */
const COMMON_NAMES: ReadonlySet<FormName> = new Set<FormName>(['v11', 'fuser-plain']);

/** This package's own names. */
function own(form: FormName): KeyFamily {
  const keys = Object.entries(FORMS[form].parameters).map(([name, layout]): [string, FileKey] => [
    name,
    [name, layout],
  ]);
  return {
    id: 'tokenlearner',
    title: 'this package',
    form,
    keys: Object.fromEntries(keys),
    distinctive: !COMMON_NAMES.has(form),
    arithmetic: {},
  };
}

function flax(form: FormName, keys: Keys): KeyFamily {
  return { id: 'flax', title: 'the official flax code', form, keys, distinctive: true, arithmetic: {} };
}

function port(
  id: string,
  title: string,
  form: FormName,
  keys: Keys,
  arithmetic: Arithmetic,
  differs?: string,
): KeyFamily {
  const base = { id, title, form, keys, distinctive: false, arithmetic };
  return differs === undefined ? base : { ...base, differs };
}

/** Variant a or b as flax has it. The names in the file are the same; `second` is the index of this package's name. */
function flaxGrouped(second: 1 | 2): Keys {
  return {
    ...FLAX_NORM,
    'attention.0.weight': ['Conv_0.kernel', '1 1 N C'],
    [`attention.${second}.weight`]: ['Conv_1.kernel', '1 1 C G'],
    'value.weight': ['Conv_2.kernel', '1 1 N C'],
  };
}

/** A port of variant a or b; the index of its second convolution tells which. */
function groupedPort(second: 1 | 2): Keys {
  return {
    ...pair('norm', 'norm'),
    'attention.0.weight': ['attention_maps.0.weight', ...POINTWISE('C N')],
    [`attention.${second}.weight`]: [`attention_maps.${second}.weight`, ...POINTWISE('G C')],
    'value.weight': ['feat_conv.weight', ...POINTWISE('C N')],
  };
}

const ERF = { approximate: 'none' } as const;
const GROUP_NORM = 'it normalises over channels and pixels together (GroupNorm)';
const SCRAMBLED = 'it takes its logits, which lie pixel by pixel, as if they lay token by token';

/** All sources, in the order in which they are listed where several fit. */
export const KEY_FAMILIES: readonly KeyFamily[] = [
  ...(Object.keys(FORMS) as FormName[]).map(own),
  flax('v10', {
    ...FLAX_NORM,
    ...Object.fromEntries(
      [0, 1, 2, 3].map((i): [string, FileKey] => [
        `attention.${2 * i}.weight`,
        [`Conv_${i}.kernel`, i === 0 ? KERNEL_3X3[0] : KERNEL_3X3[1]],
      ]),
    ),
  }),
  flax('v11', { ...FLAX_NORM, ...FLAX_MLP }),
  flax('v11-a', flaxGrouped(1)),
  flax('v11-b', flaxGrouped(2)),
  flax('fuser', {
    ...pair('norm1', 'fuser_mix_norm1', ['scale', 'bias']),
    ...pair('norm2', 'fuser_mix_norm2', ['scale', 'bias']),
    ...FLAX_MIX,
    ...FLAX_NORM,
    ...FLAX_MLP,
  }),
  flax('fuser-plain', { ...FLAX_MIX, ...FLAX_NORM, ...FLAX_MLP }),
  {
    id: 'rt1',
    title: 'RT-1 (TensorFlow)',
    form: 'v11',
    keys: {
      ...pair('norm', 'layernorm', ['gamma', 'beta']),
      ...kernelMlp('mlp._hidden_layer', 'mlp._output_layer'),
    },
    distinctive: true,
    arithmetic: {},
  },
  port(
    'maruya24',
    'maruya24/pytorch_robotics_transformer and its copies',
    'v11',
    { ...pair('norm', 'layerNorm'), ...torchMlp('conv1', 'conv2', true) },
    { eps: 1e-5 },
  ),
  port(
    'brunomachado37',
    'brunomachado37/rt-1',
    'v11',
    { ...pair('norm', 'layer_norm'), ...torchMlp('mlp.linear_1', 'mlp.linear_2') },
    { eps: 1e-5, ...ERF },
  ),
  port(
    'hidden-out-layer',
    'a port with mlp.hidden_layer and mlp.out_layer',
    'v11',
    { ...pair('norm', 'layernorm'), ...torchMlp('mlp.hidden_layer', 'mlp.out_layer') },
    {},
  ),
  port(
    'svfap',
    'sunlicai/SVFAP or tobna/WhatTransformerToFavor',
    'v11',
    { ...pair('norm', 'norm'), ...torchMlp('mlp.fc1', 'mlp.fc2') },
    ERF,
  ),
  port(
    'rohan138',
    'Rohan138/rt1-pytorch',
    'v11',
    { ...pair('norm', 'layernorm'), ...torchMlp('mlp._hidden_layer', 'mlp._output_layer') },
    ERF,
    'its softmax is over the tokens instead of the pixels',
  ),
  port(
    'kashu7100',
    'Kashu7100/TokenLearner',
    'v11',
    { ...pair('norm', 'layer_norm'), ...torchMlp('mlp.fc1', 'mlp.fc2') },
    ERF,
    `${GROUP_NORM}, and ${SCRAMBLED}`,
  ),
  port('xiamenwcy', 'xiamenwcy/TokenLearner or CZtheHusky/rt_torch', 'v11-a', groupedPort(1), { eps: 1e-5 }),
  port(
    'xiamenwcy',
    'a copy of xiamenwcy/TokenLearner with a GELU',
    'v11-b',
    groupedPort(2),
    { eps: 1e-5, ...ERF },
    'it applies a GELU to the values too, after feat_conv',
  ),
  port(
    'xiamenwcy',
    'xiamenwcy/TokenLearner',
    'v10',
    {
      ...pair('norm', 'norm'),
      ...torchConvolutions([0, 2, 4, 6].map((i) => `attention_maps.${i}.weight`)),
    },
    { eps: 1e-5, ...ERF, pooling: 'mean' },
  ),
  port(
    'kashu7100',
    'Kashu7100/TokenLearner',
    'v10',
    {
      ...pair('norm', 'layer_norm'),
      ...torchConvolutions([0, 2, 4, 6].map((i) => `conv_layers.${i}.weight`)),
    },
    ERF,
    GROUP_NORM,
  ),
  port(
    'linkanjarad',
    'LinkAnJarad/Torch-Modules-Compilation',
    'v10',
    {
      ...pair('norm', 'selection.0'),
      ...torchConvolutions([1, 3, 5, 7].map((i) => `selection.${i}.weight`)),
    },
    { ...ERF, pooling: 'mean' },
    GROUP_NORM,
  ),
  port(
    'svfap',
    'a relative of sunlicai/SVFAP',
    'fuser',
    {
      ...pair('norm1', 'norm1'),
      ...pair('norm2', 'norm2'),
      ...pair('norm', 'norm3'),
      'mix.weight': ['proj.weight', "G G'"],
      'mix.bias': ['proj.bias', 'G'],
      ...torchMlp('mlp.fc1', 'mlp.fc2'),
    },
    ERF,
  ),
];

/** Other models that go by the family's names, by keys that tell them. Nothing can be mapped. */
export const STRANGERS: readonly (readonly [keys: readonly string[], what: string])[] = [
  [
    ['fuser_mix_norm1.scale', 'Conv_0.kernel'],
    'the first TokenFuser (before March 2022), with one convolution in place of the MLP',
  ],
  [
    ['conv_initial.weight', 'conv_end.weight'],
    "srijandas07/tokenlearner's module, whose normalisation has a weight for each pixel",
  ],
  [['ln.weight', 'convs.0.weight'], "lumo-tech's module, which is another model"],
  [['tokenizers.0.conv.0.weight'], "rish-16's module, which is another model"],
];
