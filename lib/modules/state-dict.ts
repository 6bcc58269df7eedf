import { types } from 'node:util';
import { type DType, dtypeFromCode, dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import { quoteAll } from '../formats/format-error';
import { sameShape, type Shape } from '../shape';
import { type AnyTensor, tensorArgument } from '../tensor/tensor';
import { checkBoolean, checkOptions, checkString, isPlainObject, unexpected } from '../validate';
import type { ParameterSpec } from './native';

/** A module's parameters by PyTorch's names. */
export type StateDict = Record<string, AnyTensor>;

/** Options of `loadStateDict`. */
export interface LoadStateDictOptions {
  /** Makes missing and unexpected keys errors. @default true */
  strict?: boolean | undefined;
}

/** The result of `loadStateDict`. Both lists are empty if it was strict. */
export interface LoadStateDictResult {
  /** The module's parameters that the state dict does not have. They keep their values. */
  missingKeys: string[];
  /** The state dict's keys that the module does not have. They are ignored. */
  unexpectedKeys: string[];
}

/** Returns a state dict, a plain object or a Map, as an object. Throws ERR_INVALID_ARG_TYPE. */
export function asRecord(name: string, dict: unknown): Record<string, unknown> {
  if (types.isMap(dict)) {
    const record = Object.create(null) as Record<string, unknown>;
    for (const [key, value] of dict) record[checkString(`${name}'s key`, key)] = value;
    return record;
  }
  // No other object: a promise, a Set or a tensor would be a dict without keys.
  if (isPlainObject(dict)) return dict;
  const expected = 'a plain object or a Map of tensors';
  const hint = types.isPromise(dict) ? ', not a promise of one (await it),' : '';
  throw unexpected('ERR_INVALID_ARG_TYPE', name, expected + hint, dict);
}

function quoted(keys: readonly string[]): string {
  return keys.map(quoteAll).join(', ');
}

/** The shape of a tensor of floats, or of the expected dtype. Throws ERR_INVALID_ARG_TYPE, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED. */
function shapeOf(name: string, tensor: unknown, expected: DType | undefined): Shape {
  const { dtype: code, shape } = tensorArgument(name, tensor);
  const dtype = dtypeFromCode(code);
  if (expected !== undefined && !dtypeInfo(expected).floating) {
    if (dtype === expected) return shape;
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected dtype ${expected} for \`${name}\` but received ${dtype}`,
    );
  }
  if (dtypeInfo(dtype).floating) return shape;
  throw new TokenLearnerError(
    'ERR_DTYPE_MISMATCH',
    `Expected a floating dtype for \`${name}\` but received ${dtype}`,
  );
}

/**
 * Compares a state dict with a module's parameters. Throws ERR_STATE_DICT with the message of PyTorch's load_state_dict. A wrong
 * shape is an error even if not strict. `tensors` holds the entries that the module has; each is read from the dict once.
 */
export function checkStateDict(
  moduleName: string,
  expected: readonly ParameterSpec[],
  dict: unknown,
  options: unknown,
): LoadStateDictResult & { tensors: ReadonlyMap<string, AnyTensor> } {
  const { strict: asked } = checkOptions('options', options, ['strict']);
  const strict = asked === undefined ? true : checkBoolean('options.strict', asked);
  const entries = asRecord('dict', dict);
  const known = new Set(expected.map(({ name }) => name));
  const missingKeys = expected.map(({ name }) => name).filter((name) => !Object.hasOwn(entries, name));
  const unexpectedKeys = Object.keys(entries).filter((name) => !known.has(name));
  const problems: string[] = [];
  const tensors = new Map<string, AnyTensor>();
  if (strict && missingKeys.length > 0)
    problems.push(`Missing key(s) in state_dict: ${quoted(missingKeys)}. `);
  if (strict && unexpectedKeys.length > 0)
    problems.push(`Unexpected key(s) in state_dict: ${quoted(unexpectedKeys)}. `);
  for (const spec of expected) {
    const { name, shape } = spec;
    if (!Object.hasOwn(entries, name)) continue;
    const tensor = entries[name];
    // Not one of Object.prototype, where a program may have put anything.
    const given = shapeOf(name, tensor, Object.hasOwn(spec, 'dtype') ? spec.dtype : undefined);
    tensors.set(name, tensor as AnyTensor);
    if (sameShape(given, shape)) continue;
    problems.push(
      `size mismatch for ${name}: copying a param with shape torch.Size([${given.join(', ')}]) from checkpoint, ` +
        `the shape in current model is torch.Size([${shape.join(', ')}]).`,
    );
  }
  if (problems.length > 0) {
    throw new TokenLearnerError(
      'ERR_STATE_DICT',
      `Error(s) in loading state_dict for ${moduleName}:\n\t${problems.join('\n\t')}`,
    );
  }
  return { missingKeys, unexpectedKeys, tensors };
}
