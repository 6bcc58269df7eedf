/** The model of `tokenlearner run`: its options, and how it is made of a file of weights. */
import { type Command, Option } from 'commander';
import type { TokenPooling } from '../index';
import {
  addLearnerFileOptions,
  addLearnerOptions,
  type LearnerFileOptions,
  learnerOf,
} from './learner-options';
import { fileName, inputFile } from './options';

export interface ModelOptions extends LearnerFileOptions {
  weights: string;
}

export function addModelOptions(command: Command): Command {
  const withWeights = command.requiredOption(
    '-w, --weights <file>',
    'safetensors, an index of shards, a PyTorch checkpoint, .npz or a flax state; - is standard input',
    fileName,
  );
  const withPlace = addLearnerFileOptions(withWeights).addOption(
    new Option('--engine <engine>', 'how to compute')
      .choices(['auto', 'fused', 'grouped-conv', 'libtorch'])
      .default('auto'),
  );
  return addLearnerOptions(withPlace);
}

export function modelOf(options: ModelOptions): Promise<TokenPooling> {
  return learnerOf(inputFile(options.weights, '--weights -'), options);
}
