import path from 'node:path';
import { Command, Option } from 'commander';
import type { DeviceOption } from '../device';
import { TokenLearnerError } from '../errors';
import { loadNpy, loadWeights } from '../files';
import { learnerFromStateDict, type LearnerStateDictOptions, type StateDict } from '../index';
import { deviceName, fileName, inputFile, numberFromZero } from './options';
import { isStandardOutput, saveOutput, STANDARD } from './output';
import { UsageError } from './usage-error';

interface RunOptions {
  weights: string;
  input: string;
  output: string;
  attention?: string;
  key?: string;
  prefix: string;
  device: DeviceOption;
  engine: NonNullable<LearnerStateDictOptions['engine']>;
  variant?: 'a' | 'b' | 'd';
  eps?: number;
  approximate?: 'tanh' | 'none';
  inputLayout: 'channels-first' | 'channels-last';
  layout: 'channels-first' | 'tokens-first';
  quiet: boolean;
}

/** Loads the entries whose names begin with the prefix, and removes it from the names. Does not read the others. */
async function weightsOf({ weights, key, prefix }: RunOptions): Promise<StateDict> {
  const chosen = await loadWeights(inputFile(weights, '--weights -'), {
    filter: (name) => name.startsWith(prefix),
    ...(key === undefined ? {} : { key }),
  });
  const entries = Object.entries(chosen);
  if (prefix !== '' && entries.length === 0) {
    throw new TokenLearnerError(
      'ERR_STATE_DICT',
      `${weights === STANDARD ? 'standard input' : weights} has no entry whose name starts with "${prefix}"`,
    );
  }
  return Object.fromEntries(entries.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** True for two names of one file. Standard output takes several results. */
function isSameFile(a: string, b: string): boolean {
  return ![a, b].some(isStandardOutput) && path.resolve(a) === path.resolve(b);
}

/** Refuses files of which one would be lost, and a terminal as the target of binary data. */
function checkFiles({ weights, input, output, attention }: RunOptions): void {
  if (weights === STANDARD && input === STANDARD)
    throw new UsageError('--weights and --input cannot both be standard input');
  for (const [option, target] of [
    ['--output', output],
    ['--attention', attention],
  ] as const) {
    if (target !== undefined && isSameFile(target, weights))
      throw new UsageError(`${option} is the file of the weights, which it would replace`);
  }
  if (attention !== undefined && isSameFile(output, attention))
    throw new UsageError('--output and --attention are the same file');
  if ([output, attention].includes(STANDARD) && process.stdout.isTTY)
    throw new UsageError(
      '--output - and --attention - need a file or a pipe on standard output, which is a terminal',
    );
}

async function run(options: RunOptions): Promise<void> {
  checkFiles(options);
  const source = inputFile(options.input, '--input -');
  const weights = await weightsOf(options);
  const { device, engine, variant, eps, approximate, layout, inputLayout } = options;
  const model = learnerFromStateDict(weights, {
    device,
    engine,
    ...(variant && { variant }),
    ...(eps !== undefined && { eps }),
    ...(approximate && { approximate }),
  });
  const input = (await loadNpy(source)).to(model.dtype);
  const started = process.hrtime.bigint();
  const { tokens, attention } = await model.forward(input, { layout, inputLayout, returnAttention: true });
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

/** `tokenlearner run`: one forward pass from files to files. */
export function runCommand(): Command {
  return new Command('run')
    .description(
      'Run a trained TokenLearner or TokenLearnerV11 on a feature map (..., C, H, W) in a .npy file.',
    )
    .requiredOption(
      '-w, --weights <file>',
      'state dict: safetensors (also its index of shards) or a PyTorch checkpoint; - is standard input',
      fileName,
    )
    .requiredOption('-i, --input <file>', 'feature map, .npy; - is standard input', fileName)
    .requiredOption('-o, --output <file>', 'tokens (..., C, G), .npy; - is standard output', fileName)
    .option('-a, --attention <file>', 'also write the attention maps (..., G, H, W), .npy', fileName)
    .option('--key <name>', 'the entry of the checkpoint that holds the state dict, if it holds more')
    .option('--prefix <text>', 'take only the entries whose names start with this, and drop it', '')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N', deviceName, 'auto' as const)
    .addOption(
      new Option('--engine <engine>', 'how to compute')
        .choices(['auto', 'fused', 'grouped-conv', 'libtorch'])
        .default('auto'),
    )
    .addOption(
      new Option('--variant <variant>', 'of v1.1, where the names do not tell').choices(['a', 'b', 'd']),
    )
    .option('--eps <number>', "of v1.1's LayerNorm, where it is not 1e-6", numberFromZero)
    .addOption(
      new Option('--approximate <form>', "of v1.1's GELU, where it is not tanh").choices(['tanh', 'none']),
    )
    .addOption(
      new Option('--input-layout <layout>', 'order of the input')
        .choices(['channels-first', 'channels-last'])
        .default('channels-first'),
    )
    .addOption(
      new Option('--layout <layout>', 'order of the output')
        .choices(['channels-first', 'tokens-first'])
        .default('channels-first'),
    )
    .option('-q, --quiet', 'print nothing', false)
    .action(run);
}
