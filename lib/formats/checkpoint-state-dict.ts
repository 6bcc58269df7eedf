/** Finds the state dict among a checkpoint's dicts. */
import type { TokenLearnerError } from '../errors';
import { quote, type Fail } from './format-error';
import type { Pace } from './pace';
import { isTensor, PickledDict, pythonType, type PickleValue } from './pickle-values';

/** Keys under which training scripts save the state dict, beside the epoch and the optimizer. */
const USUAL_KEYS: readonly string[] = ['state_dict', 'model_state_dict', 'model'];
/** PyTorch's name for a module's data beside its tensors. It may be a dict of tensors itself. */
const EXTRA_STATE = /(?:^|\.)_extra_state$/;
/** The most names in a message. */
const SHOWN = 10;

interface Content {
  tensors: number;
  /** Values that are neither tensors nor a module's extra state. */
  others: number;
}

async function contentOf(dict: PickledDict, pace: Pace): Promise<Content> {
  const content = { tensors: 0, others: 0 };
  for (const [name, value] of dict.entries) {
    if (isTensor(value)) content.tensors += 1;
    else if (!EXTRA_STATE.test(name)) content.others += 1;
    await pace.pause();
  }
  for (const [, value] of dict.others) {
    content[isTensor(value) ? 'tensors' : 'others'] += 1;
    await pace.pause();
  }
  return content;
}

function list(names: Iterable<string>, count: number): string {
  const shown: string[] = [];
  for (const name of names) {
    if (shown.length === SHOWN) break;
    shown.push(quote(name));
  }
  return shown.join(', ') + (count > shown.length ? ', ...' : '');
}

function keyList(dict: PickledDict): string {
  if (dict.entries.size > 0) return list(dict.entries.keys(), dict.entries.size);
  return dict.others.length > 0 ? 'no string keys' : 'no keys';
}

function notStateDict(value: PickleValue, where: string, fail: Fail): TokenLearnerError {
  if (!(value instanceof PickledDict)) return fail(`${where} is ${pythonType(value)}, not a state dict`);
  const [first] = value.entries;
  const [key, item] = first ?? value.others[0] ?? [null, null];
  const name = typeof key === 'string' ? quote(key) : pythonType(key);
  return fail(`${where} is not a state dict: its value for ${name} is ${pythonType(item)}, not a tensor`);
}

/**
 * Looks up a dotted path. Each step takes the longest key that begins the rest of the path, so a key with the path's exact name
 * takes precedence.
 */
function lookUp(root: PickledDict, path: string, fail: Fail): PickleValue {
  let value: PickleValue = root;
  let rest: string | undefined = path;
  while (rest !== undefined) {
    const at: string = rest === path ? '' : ` under ${quote(path.slice(0, -rest.length - 1))}`;
    if (!(value instanceof PickledDict))
      throw fail(`the checkpoint has no key ${quote(path)}: the value${at} is ${pythonType(value)}`);
    let key: string = rest;
    while (!value.entries.has(key) && key.includes('.')) key = key.slice(0, key.lastIndexOf('.'));
    const next: PickleValue | undefined = value.entries.get(key);
    if (next === undefined)
      throw fail(`the checkpoint has no key ${quote(path)}; it has ${keyList(value)}${at}`);
    value = next;
    rest = key === rest ? undefined : rest.slice(key.length + 1);
  }
  return value;
}

async function underKey(root: PickledDict, key: string, fail: Fail, pace: Pace): Promise<PickledDict> {
  const value = key === '' && !root.entries.has('') ? root : lookUp(root, key, fail);
  const where = `the value of ${quote(key)}`;
  if (!(value instanceof PickledDict)) throw notStateDict(value, where, fail);
  if (value.size > 0 && (await contentOf(value, pace)).tensors === 0) throw notStateDict(value, where, fail);
  return value;
}

/**
 * The dicts of the root that hold tensors and either have a usual key or hold nothing else. A dict under several keys counts
 * once, under the usual key.
 */
async function candidatesIn(root: PickledDict, pace: Pace): Promise<[name: string, dict: PickledDict][]> {
  const contents = new Map<PickledDict, Content>([[root, { tensors: 0, others: 0 }]]);
  const names = new Map<PickledDict, string>();
  for (const [name, value] of root.entries) {
    await pace.pause();
    if (!(value instanceof PickledDict) || EXTRA_STATE.test(name)) continue;
    const { tensors, others } = contents.get(value) ?? (await contentOf(value, pace));
    contents.set(value, { tensors, others });
    const isUsual = USUAL_KEYS.includes(name);
    if (tensors > 0 && (isUsual || (others === 0 && !names.has(value)))) names.set(value, name);
  }
  return [...names].map(([dict, name]) => [name, dict]);
}

/**
 * Finds the state dict of a checkpoint, in slices of a few milliseconds.
 *
 * @param key - a path of keys, such as 'model.state_dict', or '' for the checkpoint itself; undefined to search
 * @throws TokenLearnerError ERR_FILE_FORMAT if there is none, or several
 */
export async function findStateDict(
  root: PickleValue,
  key: string | undefined,
  fail: Fail,
  pace: Pace,
): Promise<PickledDict> {
  if (!(root instanceof PickledDict)) throw notStateDict(root, 'the checkpoint', fail);
  if (key !== undefined) return underKey(root, key, fail, pace);
  const own = await contentOf(root, pace);
  if (root.size === 0 || (own.tensors > 0 && own.others === 0)) return root;
  const found = await candidatesIn(root, pace);
  const usual = found.filter(([name]) => USUAL_KEYS.includes(name));
  const [first] = usual;
  if (first !== undefined && found.length === 1) return first[1];
  if (found.length === 0 && own.tensors > 0) return root;
  if (first === undefined && own.tensors === 0) {
    throw fail(
      `the checkpoint is not a state dict and holds no tensors under ${USUAL_KEYS.map(quote).join(', ')}; ` +
        `choose one with \`key\`: it has ${keyList(root)}`,
    );
  }
  const names = found.map(([name]) => name);
  throw fail(
    `the checkpoint has several state dicts; choose one with \`key\`: ${list(names, names.length)}` +
      (first === undefined ? ', or "" for the checkpoint itself' : ''),
  );
}
