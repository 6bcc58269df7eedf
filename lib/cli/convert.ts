import path from 'node:path';
import { Command, Option } from 'commander';
import { type DType, dtypeInfo, FLOAT_DTYPES, type FloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import { saveNpz, saveSafetensors } from '../files';
import { withListedWeights } from '../files/list';
import { saveCheckpoint, saveFlax } from '../files/save';
import type { StateDict } from '../index';
import {
  chooseWeights,
  type FamilyModule,
  KEY_FAMILIES,
  type KeyFamily,
  namesUnder,
  recognise,
  surest,
  toNamesOf,
  toOwnNames,
  type Recognition,
} from '../weights';
import { fileName, inputFile } from './options';
import { inWordsOfCommand } from './words';
import { filesOfWeights, TakenFiles } from './taken-files';
import { UsageError } from './usage-error';

type Shapes = Parameters<typeof recognise>[0];

/** What is converted. `metadata`: the strings of a safetensors file, none of others. */
interface Content {
  dict: StateDict;
  metadata: Record<string, string>;
}

interface ConvertOptions {
  to?: string;
  dtype?: FloatDType;
  key?: string;
  prefix?: string;
  variant?: 'a' | 'b' | 'd';
  compressed: boolean;
  quiet: boolean;
}

const SAFETENSORS = /\.safetensors$/i;
/** Writers by the ending of the output's name. */
const WRITERS: readonly (readonly [
  ending: RegExp,
  write: (file: string, content: Content, options: ConvertOptions) => Promise<void>,
])[] = [
  [SAFETENSORS, writeSafetensors],
  [/\.npz$/i, (file, { dict }, { compressed }) => saveNpz(file, dict, { compressed })],
  [/\.(?:msgpack|flax)$/i, (file, { dict }) => saveFlax(file, dict)],
  [/\.(?:pt|pth|bin|ckpt)$/i, (file, { dict }) => saveCheckpoint(file, dict)],
];

function writeSafetensors(file: string, { dict, metadata }: Content): Promise<void> {
  return saveSafetensors(file, dict, Object.keys(metadata).length === 0 ? {} : { metadata });
}

/** This package's names, by the module. */
const OWN_NAMES: Readonly<Record<string, FamilyModule>> = {
  tokenlearner: 'TokenLearner',
  v10: 'TokenLearnerV10',
  v11: 'TokenLearnerV11',
  fuser: 'TokenFuser',
};
const FAMILY_IDS = [...new Set(KEY_FAMILIES.map(({ id }) => id))].filter((id) => id !== 'tokenlearner');
const TARGETS = [...Object.keys(OWN_NAMES), ...FAMILY_IDS];
const MODULES: readonly FamilyModule[] = ['TokenLearner', 'TokenLearnerV10', 'TokenLearnerV11', 'TokenFuser'];

function writerFor(file: string): (typeof WRITERS)[number][1] {
  const found = WRITERS.find(([ending]) => ending.test(file));
  if (found !== undefined) return found[1];
  throw new UsageError(
    `the name of the output decides its format: .safetensors, .npz, .msgpack, .flax, .pt, .pth, .bin or .ckpt, not ${JSON.stringify(path.basename(file))}`,
  );
}

/** Options that would have no effect are wrong usage. */
function checkUsage(output: string, { to, prefix, variant, compressed }: ConvertOptions): void {
  if (to === undefined && (prefix ?? variant) !== undefined)
    throw new UsageError('--prefix and --variant choose the module whose names --to changes: give --to too');
  if (compressed && !/\.npz$/i.test(output)) throw new UsageError('--compressed is for .npz alone');
}

/** The only module of which a key family has names, and that the weights under the prefix fit. */
function moduleFor(dict: Shapes, id: string, prefix: string | undefined): FamilyModule {
  const fits = new Set(surest(recognise(dict), prefix).map(({ module }) => module));
  const modules = MODULES.filter((module) => fits.has(module));
  const [first, second] = modules;
  if (first === undefined || second === undefined) return first ?? 'TokenLearnerV11';
  throw new UsageError(
    `the file holds weights of ${modules.join(' and ')}: choose one with --prefix, or convert each alone, to this package's names first (--to v10, v11 or fuser), then to ${id}`,
  );
}

function familyFor(id: string, form: string | undefined): KeyFamily {
  const found = KEY_FAMILIES.find((family) => family.id === id && family.form === form);
  if (found !== undefined) return found;
  const forms = KEY_FAMILIES.filter((family) => family.id === id).map((family) => family.form);
  throw new UsageError(`${id} has names for ${forms.join(', ')}, not for ${form ?? 'TokenLearner'}`);
}

/** The module whose names are to be changed. */
function chosen(dict: Shapes, to: string, { prefix, variant }: ConvertOptions): Recognition {
  const module = OWN_NAMES[to] ?? moduleFor(dict, to, prefix);
  if (variant !== undefined && module !== 'TokenLearnerV11')
    throw new UsageError(`--variant is for a TokenLearnerV11, and --to ${to} is for a ${module} here`);
  return chooseWeights(dict, { module, prefix, variant });
}

/** The weights of one module under other names. */
function renamed(dict: StateDict, to: string, found: Recognition): StateDict {
  const weights = toOwnNames(dict, found);
  if (OWN_NAMES[to] !== undefined) return weights;
  return toNamesOf(familyFor(to, found.form), weights, to === 'flax' || to === 'rt1' ? '/' : '.');
}

/** Loads the file, with --to the tensors of the module alone. */
async function load(input: string, options: ConvertOptions): Promise<Content> {
  const { key, to, prefix } = options;
  const filter = to === undefined ? undefined : namesUnder(prefix);
  const source = inputFile(input, 'convert -');
  try {
    return await withListedWeights(source, { key, filter }, async (tensors, loadThose, metadata) => {
      if (to === undefined) return { dict: await loadThose(undefined), metadata };
      const found = chosen(tensors, to, options);
      const names = new Set(found.mapping.map(({ from }) => from));
      return { dict: renamed(await loadThose((name) => names.has(name)), to, found), metadata };
    });
  } catch (error) {
    throw inWordsOfCommand(error, ['key', 'prefix', 'variant', 'filter'], { filter: 'to' });
  }
}

/** Converts floating tensors; the others keep their dtype. */
function inDType(dict: StateDict, dtype: DType): StateDict {
  const converted = Object.create(null) as StateDict;
  for (const [name, tensor] of Object.entries(dict))
    converted[name] = dtypeInfo(tensor.dtype).floating ? tensor.to(dtype) : tensor;
  return converted;
}

/** An error of saving, whose advice is the command's own option. */
function inWordsOfDtype(error: unknown): unknown {
  if (!(error instanceof TokenLearnerError)) return error;
  const message = error.message.replace("with to('float32')", 'with --dtype float32');
  return message === error.message ? error : new TokenLearnerError(error.code, message, { cause: error });
}

async function convert(input: string, output: string, options: ConvertOptions): Promise<void> {
  const write = writerFor(output);
  checkUsage(output, options);
  new TakenFiles().reads(await filesOfWeights(input), 'a file of the input').writes('the output', output);
  const { dtype } = options;
  const { dict: named, metadata } = await load(input, options);
  const dict = dtype === undefined ? named : inDType(named, dtype);
  await write(output, { dict, metadata }, options).catch((error: unknown) => {
    throw inWordsOfDtype(error);
  });
  if (options.quiet) return;
  const count = Object.keys(dict).length;
  const isLost = Object.keys(metadata).length > 0 && !SAFETENSORS.test(output);
  const lost = isLost ? ", without the input's metadata, which the format does not hold" : '';
  process.stdout.write(`${count} ${count === 1 ? 'tensor' : 'tensors'}: ${output}${lost}\n`);
}

/** `tokenlearner convert IN OUT`: from one format and set of names to another. */
export function convertCommand(): Command {
  return new Command('convert')
    .description(
      'Convert a file of weights to another format, to other names and layouts, or to another dtype.',
    )
    .argument(
      '<in>',
      'safetensors, an index of shards, a PyTorch checkpoint, .npz or a flax state; - is standard input',
      fileName,
    )
    .argument('<out>', '.safetensors, .npz, .msgpack (flax) or .pt; the name decides', fileName)
    .addOption(
      new Option(
        '--to <names>',
        "whose names and layouts: this package's by module, or another code's",
      ).choices(TARGETS),
    )
    .addOption(new Option('--dtype <dtype>', 'convert floating tensors').choices(FLOAT_DTYPES))
    .option('--key <name>', 'the entry of the checkpoint that holds the state dict, if it holds more')
    .option('--prefix <text>', 'what stands before the names of the module, if the file holds several')
    .addOption(
      new Option('--variant <variant>', 'of v1.1, where names and shapes fit several').choices([
        'a',
        'b',
        'd',
      ]),
    )
    .option('--compressed', 'deflate the arrays of an .npz', false)
    .option('-q, --quiet', 'print nothing', false)
    .action(convert);
}
