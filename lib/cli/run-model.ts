/** The learner of `tokenlearner run`: its options, and how it is made of a file of weights. */
import { type Command, Option } from 'commander';
import type { DeviceOption } from '../device';
import { TokenLearnerError } from '../errors';
import { loadWeights } from '../files';
import {
  learnerFromStateDict,
  type LearnerStateDictOptions,
  type StateDict,
  type TokenPooling,
} from '../index';
import { deviceName, fileName, inputFile, numberFromZero } from './options';
import { STANDARD } from './output';

export interface ModelOptions {
  weights: string;
  key?: string;
  prefix: string;
  device: DeviceOption;
  engine: NonNullable<LearnerStateDictOptions['engine']>;
  variant?: 'a' | 'b' | 'd';
  pooling?: 'sum' | 'mean';
  eps?: number;
  approximate?: 'tanh' | 'none';
}

export function addModelOptions(command: Command): Command {
  return command
    .requiredOption(
      '-w, --weights <file>',
      'state dict: safetensors (also its index of shards) or a PyTorch checkpoint; - is standard input',
      fileName,
    )
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
    );
}

/** Loads the entries whose names begin with the prefix, and removes it from the names. Does not read the others. */
async function weightsOf({ weights, key, prefix }: ModelOptions): Promise<StateDict> {
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

export async function modelOf(options: ModelOptions): Promise<TokenPooling> {
  const weights = await weightsOf(options);
  const { device, engine, variant, pooling, eps, approximate } = options;
  return learnerFromStateDict(weights, {
    device,
    engine,
    ...(variant && { variant }),
    ...(pooling && { pooling }),
    ...(eps !== undefined && { eps }),
    ...(approximate && { approximate }),
  });
}
