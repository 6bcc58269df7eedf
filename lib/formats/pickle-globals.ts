/** The values of a pickle's globals (pickle-names.ts has their names), and the results of calls to them. */
import type { Fail } from './format-error';
import { DTYPE_NAMES, OPAQUE_NAMES, STORAGES, TENSOR_CLASSES } from './pickle-names';
import { isSize, readSizes, REBUILDS, type Build, type CallContext } from './pickle-tensors';
import {
  isKind,
  PickledDict,
  pythonType,
  type Constructor,
  type Opaque,
  type PickledDType,
  type PickledStorage,
  type PickleValue,
  type StorageType,
} from './pickle-values';

/** The most pairs that one operation may put into a dict. Python's pickler writes 1,000 at once. */
const MAX_PAIRS_AT_ONCE = 2 ** 17;
/** The most string keys of a dict: the table of a larger one takes over 50 ms to grow. */
const MAX_KEYS = 2 ** 20;
/** Pairs that are put into a dict between two checks of the clock. */
const PAIRS_PER_STEP = 2 ** 8;
/** An operation with more pairs works in slices. */
const PAIRS_AT_ONCE = 2 ** 11;
/** Characters of a key that count as one element: hashing and comparing them takes about as long. */
const KEY_CHARACTERS_PER_ELEMENT = 64;
/** The approximate size of a dict entry, in bytes. */
const DICT_ENTRY_BYTES = 56;

function checkPairs(pairs: number, fail: Fail): void {
  if (pairs > MAX_PAIRS_AT_ONCE)
    throw fail(`the pickle sets ${pairs} items at once, over the limit of ${MAX_PAIRS_AT_ONCE}`);
}

type Pair = readonly [key: PickleValue, value: PickleValue];

function setItem(dict: PickledDict, [key, value]: Pair, { budget, fail }: CallContext): void {
  if (dict.entries.size === MAX_KEYS && typeof key === 'string' && !dict.entries.has(key))
    throw fail(`the pickle has a dict of over ${MAX_KEYS} string keys`);
  budget.elements(typeof key === 'string' ? 2 + key.length / KEY_CHARACTERS_PER_ELEMENT : 2);
  budget.memory(DICT_ENTRY_BYTES);
  dict.set(key, value);
}

/** Sets items in slices of a few milliseconds, so that the event loop can run. */
async function setInSlices(
  dict: PickledDict,
  pairs: Iterable<Pair>,
  context: CallContext,
): Promise<PickledDict> {
  let done = 0;
  for (const pair of pairs) {
    setItem(dict, pair, context);
    done += 1;
    if (done % PAIRS_PER_STEP === 0) await context.pause();
  }
  return dict;
}

function* alternating(items: readonly PickleValue[]): Generator<Pair> {
  for (let i = 0; i < items.length; i += 2) yield [items[i] ?? null, items[i + 1] ?? null];
}

/** Sets items of a dict. `items` alternates keys and values. Returns a promise if there are many. */
export function setItems(
  dict: PickledDict,
  items: readonly PickleValue[],
  context: CallContext,
): Promise<void> | undefined {
  if (items.length % 2 !== 0) throw context.fail('the pickle sets a key without a value');
  const count = items.length / 2;
  checkPairs(count, context.fail);
  const pairs = alternating(items);
  if (count > PAIRS_AT_ONCE) return setInSlices(dict, pairs, context).then(() => undefined);
  for (const pair of pairs) setItem(dict, pair, context);
  return undefined;
}

function* checkedPairs(pairs: readonly PickleValue[], fail: Fail): Generator<Pair> {
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw fail('an OrderedDict is not made from a list of pairs');
    yield [pair[0] ?? null, pair[1] ?? null];
  }
}

/** `OrderedDict()` or `OrderedDict(pairs)`. */
const orderedDict: Build = (args, context) => {
  if (args.length === 0) return new PickledDict();
  const [pairs] = args;
  const { fail } = context;
  if (args.length > 1 || !Array.isArray(pairs)) throw fail('an OrderedDict is not made from a list of pairs');
  checkPairs(pairs.length, fail);
  return setInSlices(new PickledDict(), checkedPairs(pairs, fail), context);
};

/** `Counter()` or `Counter(dict)`. */
const counter: Build = (args, context) => {
  if (args.length === 0) return new PickledDict();
  const [counts] = args;
  if (args.length > 1 || !(counts instanceof PickledDict))
    throw context.fail('a Counter is not made from a dict');
  checkPairs(counts.size, context.fail);
  return setInSlices(new PickledDict(), [...counts.entries, ...counts.others], context);
};

/** `set()` or `set(list)`. */
const set: Build = (args, { fail, budget }) => {
  const items = args[0] ?? [];
  if (args.length > 1 || !Array.isArray(items)) throw fail('a set is not made from a list');
  budget.elements(items.length);
  budget.memory(8 * items.length);
  return { kind: 'set', items: items.slice() };
};

/** Encodes a str. Supports only the codecs that pickles use; others may expand their input. */
function encode(text: string, codec: PickleValue | undefined, { fail, budget }: CallContext): Uint8Array {
  budget.memory(2 * text.length);
  if (codec === undefined || codec === 'utf-8' || codec === 'utf8') return new Uint8Array(Buffer.from(text));
  if (codec !== 'latin1' && codec !== 'latin-1') throw fail('a str is encoded by neither latin1 nor utf-8');
  // eslint-disable-next-line no-control-regex -- every character that has a byte in latin1
  if (!/^[\u0000-\u00ff]*$/.test(text)) throw fail('a str is encoded as latin1 and has other characters');
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** `_codecs.encode(str, encoding)`: how protocol 2 writes bytes. */
const codecsEncode: Build = (args, context) => {
  const [text, codec] = args;
  if (typeof text !== 'string' || args.length > 2) throw context.fail('bytes are not made from a str');
  return encode(text, codec, context);
};

/** `bytearray()`, `bytearray(bytes)` or `bytearray(str, encoding)`. */
const byteArray: Build = (args, context) => {
  const [content = new Uint8Array(0), codec] = args;
  if (content instanceof Uint8Array && args.length <= 1) return content;
  if (typeof content !== 'string' || codec === undefined)
    throw context.fail('a bytearray is not made from bytes');
  return encode(content, codec, context);
};

const size: Build = (args, context) => {
  if (args.length !== 1) throw context.fail('a torch.Size is not made from one tuple');
  return readSizes(args[0], 'torch.Size', context);
};

/** `_rebuild_from_type_v2(func, type, args, state)`: the tensor of `func(*args)`. Type and attributes are dropped. */
const rebuildFromType: Build = ([callee, , args], context) => {
  const build = isKind(callee, 'constructor') ? REBUILDS.get(callee.name) : undefined;
  if (build === undefined || !Array.isArray(args))
    throw context.fail('a tensor is rebuilt by something other than a function and its arguments');
  return build(args, context);
};

const opaque =
  (name: string): Build =>
  () => ({ kind: 'opaque', name });

const CONSTRUCTORS: ReadonlyMap<string, Build> = new Map<string, Build>([
  ...REBUILDS,
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['collections.OrderedDict', orderedDict],
  ['collections.Counter', counter],
  ['builtins.set', set],
  ['builtins.complex', opaque('complex number')],
  ['builtins.bytearray', byteArray],
  ['_codecs.encode', codecsEncode],
  ['torch.Size', size],
  ['torch.device', opaque('device')],
  ['torch.serialization._get_layout', opaque('layout')],
  ...[...TENSOR_CLASSES].map((name): [string, Build] => [
    name,
    () => ({ kind: 'unreadable-tensor', what: `is made by ${name}, without a storage` }),
  ]),
]);

/** Returns the value of a global; undefined if it is not on the list. */
export function resolveGlobal(
  module: string,
  name: string,
): Constructor | StorageType | PickledDType | Opaque | undefined {
  // Protocol 2 uses the name that Python 2 had for the module.
  const path = `${module === '__builtin__' ? 'builtins' : module}.${name}`;
  if (CONSTRUCTORS.has(path)) return { kind: 'constructor', name: path };
  if (STORAGES.has(path)) return { kind: 'storage-type', dtype: STORAGES.get(path) };
  if (module === 'torch' && DTYPE_NAMES.has(name)) return { kind: 'dtype', name };
  return OPAQUE_NAMES.has(path) ? { kind: 'opaque', name: path } : undefined;
}

/** Returns the result of a call to an allowed constructor; a promise if it works in slices. */
export function construct(
  callee: Constructor,
  args: readonly PickleValue[],
  context: CallContext,
): PickleValue | Promise<PickleValue> {
  const build = CONSTRUCTORS.get(callee.name);
  if (build === undefined) throw context.fail(`the pickle calls ${callee.name}, which is not a constructor`);
  return build(args, context);
}

/** Returns the storage of torch.save's persistent id: `('storage', type, key, location, numel)`. */
export function persistentStorage(id: PickleValue, fail: Fail): PickledStorage {
  if (!Array.isArray(id) || id.length !== 5 || id[0] !== 'storage') {
    throw fail(`a persistent id is ${pythonType(id)}, not a storage's five values`);
  }
  const [, type, key, , length] = id;
  if (!isKind(type, 'storage-type')) throw fail('a persistent id names no storage type');
  if (typeof key !== 'string' || !isSize(length)) throw fail("a storage's key or size is malformed");
  return { kind: 'storage', key, type, size: length };
}
