import path from 'node:path';
import { Command, Option } from 'commander';
import { TokenLearnerError } from '../errors';
import {
  type AnyTensor,
  loadCheckpoint,
  loadNpy,
  loadSafetensors,
  saveNpy,
  type StateDict,
  TokenLearner,
} from '../index';

interface RunOptions {
  weights: string;
  input: string;
  output: string;
  attention?: string;
  prefix: string;
  device: 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;
  engine: 'auto' | 'fused' | 'grouped-conv';
  layout: 'channels-first' | 'tokens-first';
  quiet: boolean;
}

const CHECKPOINT_SUFFIXES = new Set(['.pt', '.pth', '.bin']);

async function loadWeights(file: string, prefix: string): Promise<StateDict> {
  const all = CHECKPOINT_SUFFIXES.has(path.extname(file))
    ? await loadCheckpoint(file)
    : await loadSafetensors(file);
  if (prefix === '') return all;
  const chosen = Object.entries(all).filter(([name]) => name.startsWith(prefix));
  if (chosen.length === 0) {
    throw new TokenLearnerError('ERR_STATE_DICT', `${file} has no entry whose name starts with "${prefix}"`);
  }
  return Object.fromEntries(chosen.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** NumPy has no bfloat16: those results are written as float32, which holds every one of their values. */
async function save(file: string, tensor: AnyTensor): Promise<void> {
  await saveNpy(file, tensor.dtype === 'bfloat16' ? tensor.to('float32') : tensor);
}

async function run(options: RunOptions): Promise<void> {
  const weights = await loadWeights(options.weights, options.prefix);
  const model = TokenLearner.fromStateDict(weights, { device: options.device, engine: options.engine });
  const input = (await loadNpy(options.input)).to(model.dtype);
  const started = process.hrtime.bigint();
  const { tokens, attention } = await model.forward(input, { layout: options.layout, returnAttention: true });
  const milliseconds = Number(process.hrtime.bigint() - started) / 1e6;
  await save(options.output, tokens);
  if (options.attention !== undefined) await save(options.attention, attention);
  if (options.quiet) return;
  process.stdout.write(
    `(${input.shape.join(', ')}) -> (${tokens.shape.join(', ')}) in ${milliseconds.toFixed(1)} ms on ${model.device}: ${options.output}\n`,
  );
}

/** `tokenlearner run`: one forward from files to files. */
export function runCommand(): Command {
  return new Command('run')
    .description('Run a trained TokenLearner on a feature map (..., C, H, W) in a .npy file.')
    .requiredOption('-w, --weights <file>', 'state dict: .safetensors, or a PyTorch .pt/.pth')
    .requiredOption('-i, --input <file>', 'feature map, .npy')
    .requiredOption('-o, --output <file>', 'tokens (..., C, G), .npy')
    .option('-a, --attention <file>', 'also write the attention maps (..., G, H, W), .npy')
    .option('--prefix <text>', 'take only the entries whose names start with this, and drop it', '')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N', 'auto')
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
    .option('-q, --quiet', 'print nothing', false)
    .action(run);
}
