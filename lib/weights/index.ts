/** Whose weights these are: the recogniser that `fromStateDict`, `tokenlearner inspect` and `tokenlearner convert` use. */
export { chooseWeights, contentInstead, isPrefix, namesUnder, surest, type WeightsChoice } from './choose';
export { type FamilyModule, FORMS, type FormName, officialGroups } from './forms';
export { type Arithmetic, KEY_FAMILIES, type KeyFamily } from './key-families';
export { type Confidence, examineWeights, type MappedKey, type Recognition, recognise } from './recognise';
export { toNamesOf, toOwnNames } from './rename';
