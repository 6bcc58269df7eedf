/** The learner of `tokenlearner run` and `visualize`: its options, and how it is made of a file of weights. */
import { type Command, Option } from 'commander';
import type { DeviceOption } from '../device';
import { withListedWeights } from '../files/list';
import type { FileInput } from '../formats/input';
import { learnerFromStateDict, type LearnerStateDictOptions, type TokenPooling } from '../index';
import { namesUnder } from '../weights';
import { learnerTensors } from '../modules/learner-from-state-dict';
import { deviceName, numberFromZero } from './options';
import { inWordsOfCommand } from './words';

/** Options for weights whose names and shapes do not tell everything. */
export interface LearnerOptions {
  variant?: 'a' | 'b' | 'd';
  pooling?: 'sum' | 'mean';
  eps?: number;
  approximate?: 'tanh' | 'none';
}

/** Where the weights are in their file, and where the learner computes. */
export interface LearnerFileOptions extends LearnerOptions {
  key?: string;
  prefix?: string;
  device?: DeviceOption;
  engine?: NonNullable<LearnerStateDictOptions['engine']>;
}

export const LEARNER_NAMES = [
  'variant',
  'pooling',
  'eps',
  'approximate',
] as const satisfies (keyof LearnerOptions)[];
const FORWARD_NAMES = ['layout', 'inputLayout', 'pixels'];
const KNOWN = [...LEARNER_NAMES, ...FORWARD_NAMES, 'key', 'prefix', 'filter', 'device', 'engine'];

/** The options that say where the weights are, and the device. */
export function addLearnerFileOptions(command: Command): Command {
  return command
    .option('--key <name>', 'the entry of the checkpoint that holds the state dict, if it holds more')
    .option('--prefix <text>', 'what stands before the names of the module, if the file holds several')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N', deviceName);
}

export function addLearnerOptions(command: Command): Command {
  return command
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

/** Those of them that were given. */
export function learnerOptions(options: LearnerOptions): LearnerOptions {
  return Object.fromEntries(
    LEARNER_NAMES.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
}

/** An error of making or running a learner, in the words of the command line. `module` is its class. */
export function inWordsOfLearner(error: unknown, module?: string): unknown {
  return inWordsOfCommand(error, KNOWN, { filter: 'prefix' }, module);
}

/** Makes the learner of a file of weights. Of the others in the file it reads names and shapes alone. */
export async function learnerOf(file: FileInput, options: LearnerFileOptions): Promise<TokenPooling> {
  const { key, prefix, variant, device, engine } = options;
  let module: string | undefined;
  const own: LearnerStateDictOptions = {
    ...(prefix !== undefined && { prefix }),
    ...(device && { device }),
    ...(engine && { engine }),
    ...learnerOptions(options),
  };
  try {
    return await withListedWeights(file, { key, filter: namesUnder(prefix) }, async (tensors, load) => {
      const { name, taken } = learnerTensors(tensors, {
        ...(prefix !== undefined && { prefix }),
        ...(variant && { variant }),
      });
      module = name;
      return learnerFromStateDict(await load(taken && ((each) => taken.has(each))), own);
    });
  } catch (error) {
    throw inWordsOfLearner(error, module);
  }
}
