import { Command, Option } from 'commander';
import type { DeviceOption } from '../device';
import { TokenLearnerError } from '../errors';
import { loadNpy, loadWeights } from '../files';
import { learnerFromStateDict, type LearnerStateDictOptions, type StateDict } from '../index';
import { deviceName, fileName, numberFromZero } from './options';
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
  pooling?: 'sum' | 'mean';
  eps?: number;
  approximate?: 'tanh' | 'none';
  inputLayout: 'channels-first' | 'channels-last';
  layout: 'channels-first' | 'tokens-first';
  quiet: boolean;
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

/** Refuses a terminal as the source or the target of binary data. */
function refuseTerminal({ input, output, attention }: RunOptions): void {
  if (input === STANDARD && process.stdin.isTTY)
    throw new UsageError('--input - needs a file or a pipe on standard input, which is a terminal');
  if ([output, attention].includes(STANDARD) && process.stdout.isTTY)
    throw new UsageError(
      '--output - and --attention - need a file or a pipe on standard output, which is a terminal',
    );
}

async function run(options: RunOptions): Promise<void> {
  refuseTerminal(options);
  const weights = await weightsOf(options);
  const { device, engine, variant, pooling, eps, approximate, layout, inputLayout } = options;
  const model = learnerFromStateDict(weights, {
    device,
    engine,
    ...(variant && { variant }),
    ...(pooling && { pooling }),
    ...(eps !== undefined && { eps }),
    ...(approximate && { approximate }),
  });
  const input = (await loadNpy(options.input === STANDARD ? process.stdin : options.input)).to(model.dtype);
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
      'Run a trained TokenLearner, TokenLearnerV10 or TokenLearnerV11 on a feature map (..., C, H, W) in a .npy file.',
    )
    .requiredOption(
      '-w, --weights <file>',
      'state dict: safetensors (also its index of shards) or a PyTorch checkpoint',
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
    .addOption(new Option('--pooling <form>', 'of v1.0, where it is not the sum').choices(['sum', 'mean']))
    .option('--eps <number>', 'of the LayerNorm of v1.0 and v1.1, where it is not 1e-6', numberFromZero)
    .addOption(
      new Option('--approximate <form>', 'of the GELU of v1.0 and v1.1, where it is not tanh').choices([
        'tanh',
        'none',
      ]),
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
