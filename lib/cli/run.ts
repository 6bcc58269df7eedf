import { Command, Option } from 'commander';
import type { DeviceOption } from '../device';
import { TokenLearnerError } from '../errors';
import { loadNpy, loadWeights } from '../files';
import { type StateDict, TokenLearner } from '../index';
import { type FilesOptions, runFiles } from './offline/command';
import { FORMATS } from './offline/outputs';
import { deviceName, fileName, fileNames, positive } from './options';
import { isStandardOutput, saveOutput, STANDARD } from './output';
import { UsageError } from './usage-error';

interface RunOptions extends FilesOptions {
  weights: string;
  output?: string;
  attention?: string;
  key?: string;
  prefix: string;
  device: DeviceOption;
  engine: 'auto' | 'fused' | 'grouped-conv';
}

/** A run from one file to one. */
interface OneOptions extends RunOptions {
  output: string;
}

/** Loads the entries whose names begin with the prefix, and removes it from the names. Does not read the others. */
async function weightsOf({ weights, key, prefix }: RunOptions): Promise<StateDict> {
  const chosen = await loadWeights(weights, {
    filter: (name) => name.startsWith(prefix),
    ...(key === undefined ? {} : { key }),
  });
  const entries = Object.entries(chosen);
  if (prefix !== '' && entries.length === 0) {
    throw new TokenLearnerError(
      'ERR_STATE_DICT',
      `${weights} has no entry whose name starts with "${prefix}"`,
    );
  }
  return Object.fromEntries(entries.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Options that would have no effect are wrong usage. */
function checkUsage(options: RunOptions, more: readonly string[]): asserts options is OneOptions {
  const { output, attentionDir, format, resume, maxReadBytes, maxBatchSize } = options;
  if (output === undefined) throw new UsageError('expected --output for one file, or --output-dir for many');
  const stranger = Object.entries({ attentionDir, format, resume, maxReadBytes, maxBatchSize }).find(
    ([, value]) => value !== undefined && value !== false,
  );
  if (stranger !== undefined)
    throw new UsageError(
      `--${stranger[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} goes with --output-dir`,
    );
  if (more.length > 0)
    throw new UsageError(`too many arguments: --output is for one input, and ${more.join(', ')} is one more`);
}

/** Refuses a terminal as the source or the target of binary data. */
function refuseTerminal(input: string, { output, attention }: OneOptions): void {
  if (input === STANDARD && process.stdin.isTTY)
    throw new UsageError('--input - needs a file or a pipe on standard input, which is a terminal');
  if ([output, attention].includes(STANDARD) && process.stdout.isTTY)
    throw new UsageError(
      '--output - and --attention - need a file or a pipe on standard output, which is a terminal',
    );
}

async function modelOf(options: RunOptions): Promise<TokenLearner> {
  const weights = await weightsOf(options);
  return TokenLearner.fromStateDict(weights, { device: options.device, engine: options.engine });
}

async function run(more: string[], options: RunOptions): Promise<void> {
  if (options.outputDir !== undefined) {
    if ((options.output ?? options.attention) !== undefined)
      throw new UsageError('--output and --attention do not go with --output-dir: --attention-dir does');
    const input = [...options.input, ...more];
    await runFiles({ ...options, input, outputDir: options.outputDir }, () => modelOf(options));
    return;
  }
  checkUsage(options, more);
  await runOne(options, options.input.at(-1) ?? '');
}

async function runOne(options: OneOptions, from: string): Promise<void> {
  refuseTerminal(from, options);
  const model = await modelOf(options);
  const input = (await loadNpy(from === STANDARD ? process.stdin : from)).to(model.dtype);
  const started = process.hrtime.bigint();
  const { tokens, attention } = await model.forward(input, { layout: options.layout, returnAttention: true });
  const milliseconds = Number(process.hrtime.bigint() - started) / 1e6;
  await saveOutput(options.output, tokens);
  if (options.attention !== undefined) await saveOutput(options.attention, attention);
  if (options.quiet) return;
  // If an array goes to standard output, the message must not.
  const isTaken = [options.output, options.attention ?? ''].some(isStandardOutput);
  (isTaken ? process.stderr : process.stdout).write(
    `(${input.shape.join(', ')}) -> (${tokens.shape.join(', ')}) in ${milliseconds.toFixed(1)} ms on ${model.device}: ${options.output === STANDARD ? 'standard output' : options.output}\n`,
  );
}

function addFiles(command: Command): Command {
  return command
    .argument('[inputs...]', 'with --output-dir: further inputs', fileNames)
    .requiredOption(
      '-i, --input <file>',
      'feature map, .npy (- is standard input); with --output-dir a file, folder or pattern, also of .npz and .safetensors, and may be repeated',
      fileNames,
    )
    .option('-o, --output <file>', 'tokens (..., C, G), .npy; - is standard output', fileName)
    .option('-a, --attention <file>', 'also write the attention maps (..., G, H, W), .npy', fileName)
    .option('--output-dir <folder>', 'tokens of each input, under its name', fileName)
    .option('--attention-dir <folder>', 'also write the attention maps of each input', fileName)
    .addOption(
      new Option('--format <format>', 'of files in --output-dir (default: that of each input)').choices(
        FORMATS,
      ),
    )
    .option('--resume', 'keep the outputs that are whole', false)
    .option('--max-batch-size <images>', 'most images of a batch (default: 64)', positive)
    .option('--max-read-bytes <bytes>', 'most bytes of inputs in memory (default: 256 MiB)', positive);
}

/** `tokenlearner run`: forward passes from files to files. */
export function runCommand(): Command {
  const command = new Command('run')
    .description('Run a trained TokenLearner on feature maps (..., C, H, W) in files.')
    .requiredOption(
      '-w, --weights <file>',
      'state dict: safetensors (also its index of shards) or a PyTorch checkpoint',
      fileName,
    );
  return addFiles(command)
    .option('--key <name>', 'the entry of the checkpoint that holds the state dict, if it holds more')
    .option('--prefix <text>', 'take only the entries whose names start with this, and drop it', '')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N', deviceName, 'auto' as const)
    .addOption(
      new Option('--engine <engine>', 'how to compute')
        .choices(['auto', 'fused', 'grouped-conv'])
        .default('auto'),
    )
    .addOption(
      new Option('--layout <layout>', 'order of the output')
        .choices(['channels-first', 'tokens-first'])
        .default('channels-first'),
    )
    .option('-q, --quiet', 'print nothing but failures', false)
    .action(run);
}
