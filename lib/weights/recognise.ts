/** Recognises the family's modules in a state dict, by the names and shapes of its tensors. */
import { quote } from '../formats/format-error';
import type { Shape } from '../shape';
import { hasOwn } from '../validate';
import { FORMS, type FamilyModule, type FormName, officialGroups } from './forms';
import { type Arithmetic, KEY_FAMILIES, type KeyFamily } from './key-families';
import { bind, rearrangement, type Rearrangement, type Sizes, sizesLike } from './layout';
import { NameIndex, type PrefixContent } from './names';
import { examineTokenLearners } from './token-learner-keys';

/** The part of a tensor that is looked at. */
export interface Shaped {
  readonly shape: Shape;
}

/**
 * How sure a recognition is. 'certain': names that only this module has, and the shapes fit. 'likely': names of a port, or other tensors lie beside
 * them; also this package's names where they are a norm and an MLP alone. 'possible': names and shapes fit, but other models have such names too, or
 * the names fit several variants.
 */
export type Confidence = 'certain' | 'likely' | 'possible';

/** A parameter of a module, and the tensor that holds it. */
export interface MappedKey extends Rearrangement {
  /** This package's name of the parameter, as in the module's state dict. */
  readonly key: string;
  /** The tensor's whole name in the state dict that was given. */
  readonly from: string;
}

/** A module that the tensors under a prefix fit. */
export interface Recognition {
  readonly module: FamilyModule;
  /** Undefined for a TokenLearner, which has one form only. */
  readonly form: FormName | undefined;
  /** The options that names and shapes determine: dim, numOutputTokens, bottleneckDim, variant, groups, useNormalization, ffMult, numLayers. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** What stands before the names, as the state dict has it, with the separator: '' or 'params/encoder/'. */
  readonly prefix: string;
  readonly confidence: Confidence;
  /** True if other tensors stand under the prefix too: it may be a part of something else. */
  readonly isPart: boolean;
  /** The source of the names: the `id` of its key family, and its name for people. */
  readonly source: string;
  readonly title: string;
  /** Options with which the module computes the source's numbers, where they are not the defaults. They are not in a file: the user gives them. */
  readonly arithmetic: Arithmetic;
  /** How the source's mathematics differs in a way that no option has. */
  readonly differs?: string | undefined;
  /** Each parameter, in the module's order. */
  readonly mapping: readonly MappedKey[];
}

/** Names of a key family whose tensors do not fit. */
export interface Misfit {
  readonly module: FamilyModule;
  readonly prefix: string;
  readonly title: string;
  /** True if it has all names of the module: shapes, or further tensors, are wrong. */
  readonly hasAllNames: boolean;
  /** What is wrong, for people. */
  readonly problem: string;
}

/** Everything that was found. */
export interface Examination {
  readonly recognitions: readonly Recognition[];
  readonly misfits: readonly Misfit[];
}

const RANK: Record<Confidence, number> = { certain: 0, likely: 1, possible: 2 };

/** The tensors of a family under a prefix, by this package's names; and the names in the file that are missing. */
interface Present {
  names: Map<string, string>;
  missing: string[];
}

function presentOf({ keys }: KeyFamily, { names }: PrefixContent): Present {
  const present: Present = { names: new Map(), missing: [] };
  for (const [own, [file]] of Object.entries(keys)) {
    const name = names.get(file);
    if (name === undefined) present.missing.push(file);
    else present.names.set(own, name);
  }
  return present;
}

/** Sizes of the letters, and the layout of each tensor; or what is wrong. */
function fit(
  { names }: Present,
  { keys }: KeyFamily,
  dict: Readonly<Record<string, Shaped>>,
): { sizes: Sizes; layouts: Map<string, string> } | string {
  let sizes = sizesLike(null);
  const layouts = new Map<string, string>();
  // The weights with most axes first: they tell channels from tokens.
  const shapes = [...names].map(([own, name]) => ({ own, name, shape: dict[name]?.shape ?? [] }));
  for (const { own, name, shape } of shapes.sort((a, b) => b.shape.length - a.shape.length)) {
    const [, ...possible] = keys[own] ?? [''];
    const found = possible
      .map((layout) => ({ layout, bound: bind(layout, shape, sizes) }))
      .find(({ bound }) => bound !== undefined);
    if (found?.bound === undefined)
      return `${quote(name)} has shape (${shape.join(', ')}), which does not fit the other tensors`;
    sizes = found.bound;
    layouts.set(own, found.layout);
  }
  return { sizes, layouts };
}

function optionsOf(family: KeyFamily, { C = 1, G = 1, D, N }: Sizes): Recognition['options'] {
  return {
    dim: C,
    [FORMS[family.form].module === 'TokenFuser' ? 'numTokens' : 'numOutputTokens']: G,
    ...(D === undefined ? {} : { bottleneckDim: D }),
    ...FORMS[family.form].options,
    ...(N === undefined ? {} : { groups: C / N }),
  };
}

/** Whether the official code could have made variant a's or b's shapes. The names are the same, so the groups decide. */
function groupsFit({ form, id }: KeyFamily, { C = 1, N = 1 }: Sizes): boolean {
  if (id !== 'flax' || (form !== 'v11-a' && form !== 'v11-b')) return true;
  return C === N * officialGroups(form === 'v11-a' ? 'a' : 'b', C);
}

function confidenceOf(family: KeyFamily, { C = 1, G = 1 }: Sizes, others: boolean): Confidence {
  if (family.distinctive) return others ? 'likely' : 'certain';
  return others || G >= C ? 'possible' : 'likely';
}

function mappingOf(
  { form, keys }: KeyFamily,
  { names }: Present,
  sizes: Sizes,
  layouts: ReadonlyMap<string, string>,
): MappedKey[] {
  return Object.entries(FORMS[form].parameters).map(([key, layout]) => ({
    key,
    from: names.get(key) ?? '',
    ...rearrangement(layouts.get(key) ?? keys[key]?.[1] ?? layout, layout, sizes),
  }));
}

/**
 * A tensor inside the submodules that a family names, which the family does not have: a bias, another layer. The module would drop it, and compute
 * something else.
 */
function strayOf(prefix: string, { keys }: KeyFamily, index: NameIndex): string | undefined {
  const files = Object.values(keys).map(([file]) => file);
  const known = new Set(files.map((file) => prefix + file));
  const submodules = new Set(files.map((file) => file.slice(0, file.indexOf('.') + 1)));
  for (const submodule of submodules) {
    const stray = index.strayUnder(prefix + submodule, known);
    if (stray !== undefined) return stray;
  }
  return undefined;
}

/** A family whose names fit. `official`: the official code could have made it. */
interface Fit {
  recognition: Recognition;
  official: boolean;
}

/** A misfit, and the tensors that have names of the family. */
interface NearFit {
  misfit: Misfit;
  names: ReadonlySet<string>;
}

/** A family at a prefix: a fit, a misfit, or undefined if few of its names are there. */
function examineAt(
  prefix: string,
  family: KeyFamily,
  content: PrefixContent,
  dict: Readonly<Record<string, Shaped>>,
  index: NameIndex,
): Fit | NearFit | undefined {
  const present = presentOf(family, content);
  const { module } = FORMS[family.form];
  const { title } = family;
  const count = Object.keys(family.keys).length;
  if (present.names.size * 2 < count + 1) return undefined;
  const no = (problem: string): NearFit => ({
    misfit: { module, prefix, title, hasAllNames: present.missing.length === 0, problem },
    names: new Set(present.names.values()),
  });
  if (present.missing.length > 0) return no(`it has no ${present.missing.join(', ')}`);
  const fitted = fit(present, family, dict);
  if (typeof fitted === 'string') return no(fitted);
  const { sizes, layouts } = fitted;
  if (sizes.N !== undefined && (sizes.C ?? 0) % sizes.N !== 0)
    return no(`${sizes.C} channels are no multiple of ${sizes.N} in a group`);
  const stray = strayOf(prefix, family, index);
  if (stray !== undefined) return no(`it has ${quote(stray)}, which no ${module} has`);
  const first = [...present.names.values()][0] ?? '';
  const [file] = family.keys[[...present.names.keys()][0] ?? ''] ?? [''];
  const isPart = index.countUnder(prefix) > count;
  const recognition: Recognition = {
    module,
    form: family.form,
    options: optionsOf(family, sizes),
    prefix: index.prefixOf(first, file),
    confidence: confidenceOf(family, sizes, isPart),
    isPart,
    source: family.id,
    title,
    arithmetic: family.arithmetic,
    differs: Object.hasOwn(family, 'differs') ? family.differs : undefined,
    mapping: mappingOf(family, present, sizes, layouts),
  };
  return { recognition, official: groupsFit(family, sizes) };
}

/** The tensors that a recognition takes. */
function taken({ mapping }: Recognition): Set<string> {
  return new Set(mapping.map(({ from }) => from));
}

/** True if one of `others` has all of these names and more. */
function isPartOf(names: ReadonlySet<string>, others: readonly ReadonlySet<string>[]): boolean {
  return others.some((other) => other.size > names.size && [...names].every((name) => other.has(name)));
}

/** Names that fit variants a and b: those of which the official code has such groups; both if it is both or neither. */
function ofOfficialGroups(found: readonly Fit[]): Recognition[] {
  const official = found.filter((each) => each.official);
  const chosen = official.length > 0 ? official : found;
  const several = new Set(chosen.map(({ recognition }) => recognition.module)).size < chosen.length;
  return chosen.map(({ recognition }) =>
    several ? { ...recognition, confidence: 'possible' as const } : recognition,
  );
}

/**
 * Examines the tensors under one prefix. Drops what is a part of another: a TokenFuser holds the names of a TokenLearnerV11. That is so where the
 * TokenFuser lacks a tensor, too: its other tensors are no TokenLearnerV11, and no TokenFuser without normalization.
 */
function examineUnder(
  prefix: string,
  content: PrefixContent,
  dict: Readonly<Record<string, Shaped>>,
  index: NameIndex,
): Examination {
  const fits: { found: Fit; names: ReadonlySet<string> }[] = [];
  const near: NearFit[] = [];
  for (const family of content.families) {
    const result = examineAt(prefix, family, content, dict, index);
    if (result === undefined) continue;
    if (hasOwn(result, 'misfit')) near.push(result);
    else fits.push({ found: result, names: taken(result.recognition) });
  }
  const all = [...fits, ...near].map(({ names }) => names);
  const whole = fits.filter(({ names }) => !isPartOf(names, all));
  const explained = whole.map(({ names }) => names);
  return {
    recognitions: ofOfficialGroups(whole.map(({ found }) => found)),
    misfits: near
      .filter(({ names }) => ![...names].every((name) => explained.some((each) => each.has(name))))
      .map(({ misfit }) => misfit),
  };
}

/** Finds all modules, and names of modules that lack tensors or have other shapes. */
export function examineWeights(dict: Readonly<Record<string, Shaped>>): Examination {
  const index = new NameIndex(Object.keys(dict));
  const recognitions: Recognition[] = [];
  const misfits: Misfit[] = [];
  for (const each of examineTokenLearners(dict, index)) {
    if (hasOwn(each, 'problem')) misfits.push(each);
    else recognitions.push(each);
  }
  for (const [prefix, content] of index.prefixes(KEY_FAMILIES)) {
    const here = examineUnder(prefix, content, dict, index);
    recognitions.push(...here.recognitions);
    misfits.push(...here.misfits);
  }
  recognitions.sort((a, b) => RANK[a.confidence] - RANK[b.confidence]);
  return { recognitions, misfits };
}

/**
 * Recognises the modules of the family in a state dict: this package's names, flax's, RT-1's and the ports', under any prefix, with dots or slashes.
 *
 * @returns all modules that fit, the surest first; several for one prefix where the names fit several variants.
 */
export function recognise(dict: Readonly<Record<string, Shaped>>): readonly Recognition[] {
  return examineWeights(dict).recognitions;
}
