/** The modules that pool a feature map into tokens, from a file of weights. */
import type { DeviceOption } from '../device';
import { loadWeights } from '../files';
import * as library from '../index';
import { chooseWeights, type FamilyModule, recognise, type Recognition, toOwnNames } from '../weights';
import { UsageError } from './usage-error';

export interface LearnerChoice {
  key?: string;
  prefix?: string;
  variant?: 'a' | 'b' | 'd';
  device: DeviceOption;
}

/** The part of the classes that is used here. */
interface LearnerClass {
  fromStateDict(dict: library.StateDict, options: object): library.AttentionModel;
}

/** The classes of this package, by the names that the recogniser uses. A TokenFuser gives no maps. */
function classOf(module: FamilyModule): LearnerClass | undefined {
  const classes = library as unknown as Partial<Record<FamilyModule, LearnerClass>>;
  return module === 'TokenFuser' ? undefined : classes[module];
}

function plain(prefix: string): string {
  return prefix.replaceAll('/', '.').replace(/\.$/, '');
}

/** The only learner of a state dict. Throws UsageError if there are several, ERR_STATE_DICT if there is none. */
function recogniseLearner(dict: library.StateDict, { prefix, variant }: LearnerChoice): Recognition {
  const found = recognise(dict).filter(
    (each) =>
      classOf(each.module) !== undefined &&
      (prefix === undefined || plain(each.prefix) === plain(prefix)) &&
      (variant === undefined || each.options.variant === variant),
  );
  const [first, second] = found;
  if (first === undefined) return chooseWeights(dict, { module: 'TokenLearner', prefix, variant });
  if (second === undefined) return first;
  const prefixes = [...new Set(found.map((each) => each.prefix))];
  if (prefixes.length > 1)
    throw new UsageError(
      `the file has the weights of several modules: choose one with --prefix: ${prefixes.map((each) => JSON.stringify(each)).join(', ')}`,
    );
  const variants = found.map((each) => String(each.options.variant));
  throw new UsageError(`the weights fit several variants: choose one with --variant: ${variants.join(', ')}`);
}

/** Makes the module that the weights in a file fit. */
export async function loadLearner(file: string, choice: LearnerChoice): Promise<library.AttentionModel> {
  const { key, device } = choice;
  const dict = await loadWeights(file, key === undefined ? {} : { key });
  const found = recogniseLearner(dict, choice);
  const { variant } = found.options;
  const options = { device, ...(variant !== undefined && { variant }) };
  const made = classOf(found.module)?.fromStateDict(toOwnNames(dict, found), options);
  if (made === undefined) throw new UsageError(`this version has no ${found.module}`);
  return made;
}
