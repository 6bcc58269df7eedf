/** The options of the commands that make a learner of weights whose names and shapes do not tell everything. */
import { type Command, Option } from 'commander';
import { numberFromZero } from './options';

export interface LearnerOptions {
  variant?: 'a' | 'b' | 'd';
  pooling?: 'sum' | 'mean';
  eps?: number;
  approximate?: 'tanh' | 'none';
}

const NAMES = ['variant', 'pooling', 'eps', 'approximate'] as const satisfies (keyof LearnerOptions)[];

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
    NAMES.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
}
