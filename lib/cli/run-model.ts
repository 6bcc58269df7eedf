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
import { addLearnerOptions, learnerOptions, type LearnerOptions } from './learner-options';
import { deviceName, fileName, inputFile } from './options';
import { STANDARD } from './output';

export interface ModelOptions extends LearnerOptions {
  weights: string;
  key?: string;
  prefix: string;
  device: DeviceOption;
  engine: NonNullable<LearnerStateDictOptions['engine']>;
}

export function addModelOptions(command: Command): Command {
  const withPlace = command
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
    );
  return addLearnerOptions(withPlace);
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
  const { device, engine } = options;
  return learnerFromStateDict(weights, { device, engine, ...learnerOptions(options) });
}
