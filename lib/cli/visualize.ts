import { buffer } from 'node:stream/consumers';
import { Command, InvalidArgumentError, Option } from 'commander';
import { TokenLearnerError } from '../errors';
import { loadNpy } from '../files';
import { identify, type Kind } from '../formats/identify';
import { withInput } from '../formats/input';
import {
  type AnyTensor,
  type AttentionModel,
  presets,
  visualize,
  type VisualizeFormat,
  type VisualizeOptions,
} from '../index';
import {
  addLearnerFileOptions,
  addLearnerOptions,
  type LearnerFileOptions,
  learnerOf,
  learnerOptions,
} from './learner-options';
import { loadModuleFile } from './module-file';
import { fileName, fileNames, inputFile } from './options';
import { isStandardOutput, saveBytes, STANDARD } from './output';
import { filesOfWeights, TakenFiles } from './taken-files';
import { UsageError } from './usage-error';
import { inWordsOfCommand } from './words';

/** The options of the library that the command line has by the same names. */
const LOOK = [
  'grayscale',
  'resize',
  'crop',
  'animate',
  'fps',
  'colormap',
  'opacity',
  'range',
  'tokens',
  'columns',
  'tileSize',
  'theme',
  'title',
  'picture',
] as const;

type Look = Pick<VisualizeOptions, (typeof LOOK)[number]>;

interface Options extends Look, Omit<LearnerFileOptions, 'engine'> {
  weights?: string;
  input: string[];
  output: string;
  model?: string;
  picture?: string[];
  format?: VisualizeFormat;
  normalize?: 'imagenet';
  quiet: boolean;
}

/** The kinds of files with several arrays that no picture begins like. */
const SEVERAL: readonly Kind[] = ['npz', 'checkpoint', 'safetensors'];
const FORMATS = ['png', 'webp', 'gif'] as const;

function number(value: string): number {
  const found = Number(value);
  if (value.trim() !== '' && Number.isFinite(found)) return found;
  throw new InvalidArgumentError('It is not a number.');
}

function whole(value: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It is not a whole number.');
}

function pictureSize(value: string): number | { width: number; height: number } {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(value) ?? [];
  if (width !== undefined && height !== undefined) return { width: Number(width), height: Number(height) };
  if (/^\d+$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It is neither a number of pixels nor WIDTHxHEIGHT.');
}

function valueRange(value: string): 'token' | 'shared' | [number, number] {
  if (value === 'token' || value === 'shared') return value;
  const [min = '', max = '', ...more] = value.split(',');
  if (more.length === 0 && max !== '') return [number(min), number(max)];
  throw new InvalidArgumentError('Allowed choices are token, shared, MIN,MAX.');
}

function indexes(value: string): number[] {
  return value.split(',').map((each) => whole(each.trim()));
}

/** The format: by the ending of the output, or by --format where that has none. */
function formatOf({ output, format }: Options): VisualizeFormat {
  if (isStandardOutput(output)) return format ?? 'png';
  if (format !== undefined)
    throw new UsageError('--format is for standard output alone: the ending of a file decides');
  const found = FORMATS.find((each) => output.toLowerCase().endsWith(`.${each}`));
  if (found !== undefined) return found;
  throw new UsageError('the ending of the output decides its format: .png, .webp or .gif');
}

/** A PNG has one page. */
function checkAnimation({ animate, output }: Options, format: VisualizeFormat): void {
  if (animate !== true || format !== 'png') return;
  throw new UsageError(
    isStandardOutput(output)
      ? '--animate needs --format gif or webp'
      : '--animate needs an output that ends in .gif or .webp',
  );
}

/** Standard input is there once, and no terminal. */
function checkStandardInput(files: Readonly<Record<string, readonly string[]>>): void {
  const readers = Object.entries(files).flatMap(([option, names]) =>
    names.filter((name) => name === STANDARD).map(() => `--${option} -`),
  );
  if (readers.length > 1)
    throw new UsageError(`standard input can be given once, not for ${readers.join(' and ')}`);
  for (const reader of readers) inputFile(STANDARD, reader);
}

function checkUsage(options: Options): void {
  const { weights, model, input, picture, output, key, prefix, device } = options;
  const forWeights = { key, prefix, device, ...learnerOptions(options) };
  if (weights === undefined && model === undefined)
    throw new UsageError(
      'give --weights, the weights of a TokenLearner, or --model, a module that gives attention itself',
    );
  const stray = Object.entries(forWeights).find(([, value]) => value !== undefined);
  if (weights === undefined && stray !== undefined) throw new UsageError(`--${stray[0]} is for --weights`);
  checkStandardInput({ weights: weights === undefined ? [] : [weights], input, picture: picture ?? [] });
  if (output === STANDARD && process.stdout.isTTY)
    throw new UsageError('--output - needs a file or a pipe on standard output, which is a terminal');
}

/** Refuses an output that would replace a file which the command reads. */
async function checkOutput({ weights, model, input, picture, output }: Options): Promise<void> {
  new TakenFiles()
    .reads(weights === undefined ? [] : await filesOfWeights(weights), 'a file of the weights')
    .reads(model === undefined ? [] : [model], 'the file of --model')
    .reads(picture ?? [], 'a file of --picture')
    .reads(input, 'a file of --input')
    .writes('--output', output);
}

/** A file's path, or what standard input gives. */
async function sourceOf(file: string): Promise<string | Uint8Array> {
  return file === STANDARD ? buffer(process.stdin) : file;
}

/** True for a .npy. Throws ERR_FILE_FORMAT for a file of several arrays. */
async function isArray(source: string | Uint8Array): Promise<boolean> {
  return withInput(source, async ({ source: bytes, name }) => {
    const { kind, what } = await identify(bytes);
    if (SEVERAL.includes(kind))
      throw new TokenLearnerError(
        'ERR_FILE_FORMAT',
        `${name}: it is ${what}, which is no picture: features come as one array in a .npy file`,
      );
    return kind === 'npy';
  });
}

/** Features from a .npy file, or pictures. */
async function readInputs(names: readonly string[]): Promise<AnyTensor | (string | Uint8Array)[]> {
  const sources = await Promise.all(names.map(sourceOf));
  const arrays = await Promise.all(sources.map(isArray));
  const [first] = sources;
  if (!arrays.includes(true) || first === undefined) return sources;
  if (sources.length > 1) throw new UsageError('--input takes one .npy file, or pictures');
  return loadNpy(first);
}

/** The options of the library that were given. */
function lookOf(options: Options): VisualizeOptions {
  const given = LOOK.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]);
  return {
    ...(Object.fromEntries(given) as VisualizeOptions),
    ...(options.normalize && presets[options.normalize]),
  };
}

/** The library's options by the names of the command line. */
const NAMES: Record<string, string> = {
  backbone: 'model',
  mean: 'normalize',
  std: 'normalize',
  captions: 'title',
};
const KNOWN = [...LOOK, 'format', ...Object.keys(NAMES)];

async function run(options: Options): Promise<void> {
  checkUsage(options);
  const format = formatOf(options);
  checkAnimation(options, format);
  await checkOutput(options);
  const { weights, model, output } = options;
  const own = model === undefined ? undefined : await loadModuleFile(model);
  const fromWeights =
    weights === undefined ? undefined : await learnerOf(inputFile(weights, '--weights -'), options);
  const learner: AttentionModel | undefined = fromWeights ?? own;
  if (learner === undefined) return;
  const backbone = fromWeights && own;
  const input = await readInputs(options.input);
  const picture = options.picture && { picture: await Promise.all(options.picture.map(sourceOf)) };
  const look = { ...lookOf(options), ...picture, format, ...(backbone && { backbone }) };
  const made = await visualize(learner, input, look).catch((error: unknown) => {
    throw inWordsOfCommand(error, KNOWN, NAMES);
  });
  await saveBytes(output, made.data);
  if (options.quiet) return;
  const frames = made.pages > 1 ? `, ${made.pages} frames` : '';
  const to = isStandardOutput(output) ? process.stderr : process.stdout;
  to.write(
    `${made.width} x ${made.height} pixels${frames}: ${output === STANDARD ? 'standard output' : output}\n`,
  );
}

function addLook(command: Command): Command {
  return command
    .addOption(new Option('--colormap <name>').choices(['viridis', 'magma', 'inferno', 'coolwarm']))
    .option('--opacity <part>', 'of the maps over the picture, from 0 to 1', number)
    .option('--range <range>', 'of the colours: token (each map its own), shared, or MIN,MAX', valueRange)
    .option('--tokens <list>', 'the tokens to show, for example 0,3', indexes)
    .option('--columns <n>', 'the most tiles beside each other', whole)
    .option('--tile-size <pixels>', 'the longer side of each tile', whole)
    .addOption(
      new Option('--theme <theme>', 'the colours around the pictures').choices(['light', 'dark', 'auto']),
    )
    .option('--title <text>', 'a line above everything')
    .option('--animate', 'one picture after the other (default for .gif and .webp)')
    .option('--no-animate', 'one picture below the other')
    .option('--fps <n>', 'pictures a second of an animation', number);
}

function addPictures(command: Command): Command {
  return command
    .option('--resize <pixels>', 'of pictures: the shorter side, or WIDTHxHEIGHT', pictureSize)
    .option('--crop <pixels>', 'of pictures: the centre, a square or WIDTHxHEIGHT', pictureSize)
    .addOption(new Option('--normalize <preset>', 'of pictures: mean and std').choices(Object.keys(presets)))
    .option('--grayscale', 'pictures of one channel');
}

/** `tokenlearner visualize`: where each token looks. */
export function visualizeCommand(): Command {
  const command = new Command('visualize')
    .description('Draw the attention map of each token over a picture. Needs the package sharp.')
    .option(
      '-w, --weights <file>',
      'weights of a TokenLearner, in any format and under any prefix; - is standard input',
      fileName,
    )
    .requiredOption(
      '-i, --input <file...>',
      'pictures, or features (..., C, H, W) in a .npy file; - is standard input',
      fileNames,
    )
    .requiredOption(
      '-o, --output <file>',
      '.png: a sheet; .gif, .webp: an animation of several; - is standard output',
      fileName,
    )
    .option(
      '-m, --model <file>',
      'a JavaScript module that exports a Module by default: it turns the input into features; without --weights it gives the attention',
      fileName,
    )
    .option(
      '-p, --picture <file...>',
      'for features: the picture, or one for each, to lay the maps over; - is standard input',
      fileNames,
    )
    .addOption(new Option('--format <format>', 'for standard output').choices(FORMATS));
  return addLook(addPictures(addLearnerOptions(addLearnerFileOptions(command))))
    .option('-q, --quiet', 'print nothing', false)
    .action(run);
}
