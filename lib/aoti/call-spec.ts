/** The trees of a program's inputs and outputs: PyTorch's pytrees as JSON, and JavaScript's values. */
import { TokenLearnerError } from '../errors';
import { describe, isPlainObject, unexpected } from '../validate';

/** A tuple or a list is a sequence; a dict is a record; everything else is a leaf: a tensor. */
export type Tree =
  | { readonly kind: 'leaf' }
  | { readonly kind: 'sequence'; readonly children: readonly Tree[] }
  | { readonly kind: 'record'; readonly keys: readonly string[]; readonly children: readonly Tree[] };

/** The inputs by position and by name, and the output. */
export interface CallSpec {
  readonly args: readonly Tree[];
  readonly kwargs: Tree & { kind: 'record' };
  readonly output: Tree;
}

/** A tensor. */
export const LEAF: Tree = { kind: 'leaf' };
const SEQUENCES = new Set([
  'builtins.tuple',
  'builtins.list',
  'torch.fx.immutable_collections.immutable_list',
]);
const RECORDS = new Set([
  'builtins.dict',
  'collections.OrderedDict',
  'torch.fx.immutable_collections.immutable_dict',
]);
/** The only version of the JSON. */
const VERSION = 1;
/** Deeper trees are mistakes, and recursion over them would overflow the stack. */
const DEEPEST = 64;

function refused(what: string): TokenLearnerError {
  return new TokenLearnerError('ERR_AOTI_PACKAGE', `The program's call spec ${what}`);
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw refused('is not JSON');
  }
}

/** The keys of a dict, which its context holds as JSON. */
function keysOf(context: unknown): string[] {
  const keys: unknown = typeof context === 'string' ? parse(context) : undefined;
  if (!Array.isArray(keys)) throw refused('has a dict without keys');
  const stranger: unknown = keys.find((key) => typeof key !== 'string');
  if (stranger !== undefined)
    throw refused(`has a dict with the key ${describe(stranger)}; keys are strings`);
  if (new Set(keys).size !== keys.length) throw refused('has a dict with a key twice');
  return keys as string[];
}

function parseNode(node: unknown, depth: number): Tree {
  if (depth > DEEPEST) throw refused(`is more than ${DEEPEST} deep`);
  if (!isPlainObject(node)) throw refused('has a node that is no object');
  const { type, context, children_spec: specs } = node;
  if (!Array.isArray(specs)) throw refused('has a node without children_spec');
  if (type === null) return LEAF;
  const children = specs.map((child: unknown) => parseNode(child, depth + 1));
  if (typeof type === 'string' && SEQUENCES.has(type)) return { kind: 'sequence', children };
  if (typeof type === 'string' && RECORDS.has(type)) {
    const keys = keysOf(context);
    if (keys.length !== children.length) throw refused('has a dict with another number of keys than values');
    return { kind: 'record', keys, children };
  }
  throw refused(
    `has a node of type ${typeof type === 'string' ? type : describe(type)}, which has no form in JavaScript; tuples, lists and dicts have`,
  );
}

function parseTree(json: string): Tree {
  const spec = parse(json);
  if (!Array.isArray(spec) || spec[0] !== VERSION) throw refused('is of an unknown version');
  return parseNode(spec[1], 0);
}

/** Reads the JSON of `AOTInductorModelContainerGetCallSpec`. Throws ERR_AOTI_PACKAGE. */
export function parseCallSpec(inSpec: string, outSpec: string): CallSpec {
  const inputs = parseTree(inSpec);
  const [args, kwargs] = inputs.kind === 'sequence' ? inputs.children : [];
  if (args?.kind !== 'sequence' || kwargs?.kind !== 'record') throw refused('has no args and kwargs');
  return { args: args.children, kwargs, output: parseTree(outSpec) };
}

/** The number of tensors in a tree. */
export function leafCount(tree: Tree): number {
  return tree.kind === 'leaf' ? 1 : tree.children.reduce((sum, child) => sum + leafCount(child), 0);
}

/** A name for each leaf, from the keys and the positions above it: 'parts_0'. */
export function leafNames(tree: Tree, prefix = ''): string[] {
  if (tree.kind === 'leaf') return [prefix === '' ? 'output' : prefix];
  return tree.children.flatMap((child, i) => {
    const key = tree.kind === 'record' ? (tree.keys[i] ?? '') : String(i);
    return leafNames(
      child,
      prefix === '' && tree.kind === 'sequence' ? `output_${key}` : joined(prefix, key),
    );
  });
}

function joined(prefix: string, key: string): string {
  return prefix === '' ? key : `${prefix}_${key}`;
}

/**
 * Lists the leaves of a value in the order of its tree. Throws ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE if the value has
 * another structure.
 *
 * @param name - of the value, for messages.
 */
export function flatten(tree: Tree, name: string, value: unknown, leaves: unknown[] = []): unknown[] {
  if (tree.kind === 'leaf') {
    leaves[leaves.length] = value;
    return leaves;
  }
  const { children } = tree;
  if (tree.kind === 'sequence') {
    if (!Array.isArray(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'an array', value);
    if (value.length !== children.length) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected ${children.length} elements for \`${name}\` but received ${value.length}`,
      );
    }
    children.forEach((child, i) => flatten(child, `${name}[${i}]`, value[i], leaves));
    return leaves;
  }
  if (!isPlainObject(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a plain object', value);
  const stranger = Object.keys(value).find((key) => !tree.keys.includes(key));
  const missing = tree.keys.find((key) => !Object.hasOwn(value, key));
  if (stranger !== undefined || missing !== undefined) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected ${tree.keys.length === 0 ? 'no keys' : `exactly the keys ${tree.keys.join(', ')}`} for \`${name}\` but ` +
        (missing === undefined ? `received '${String(stranger)}'` : `'${missing}' is missing`),
    );
  }
  children.forEach((child, i) => {
    const key = tree.keys[i] ?? '';
    flatten(child, `${name}.${key}`, value[key], leaves);
  });
  return leaves;
}

/** Makes the value of a tree from its leaves. `take` returns the next one. */
export function unflatten(tree: Tree, take: () => unknown): unknown {
  if (tree.kind === 'leaf') return take();
  const values = tree.children.map((child) => unflatten(child, take));
  if (tree.kind === 'sequence') return values;
  const record = {};
  tree.keys.forEach((key, i) => {
    // Not by assignment: a key may be __proto__.
    Object.defineProperty(record, key, {
      value: values[i],
      writable: true,
      enumerable: true,
      configurable: true,
    });
  });
  return record;
}
