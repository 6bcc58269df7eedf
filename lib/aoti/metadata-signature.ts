/** Reads the signature that our export script writes into the package's metadata, under the key `tokenlearner`. */
import { isPlainObject } from '../validate';
import { type Fail, quote } from '../formats/format-error';
import type { AotiDimension, AotiInput, AotiOutput, AotiSignature } from './types';

/** The key of wrapper_metadata.json. */
export const METADATA_KEY = 'tokenlearner';
/** The form that this file reads. */
const VERSION = 1;
const MAX_TENSORS = 4096;
const MAX_RANK = 64;
/** Names of PyTorch's dtypes. */
const DTYPE = /^[a-z]\w{0,31}$/;

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function dimension(value: unknown, fail: Fail): AotiDimension {
  if (isSize(value)) return value;
  const { name, min, max } = isPlainObject(value) ? value : {};
  const isNamed = name === undefined || (typeof name === 'string' && name !== '' && name.length <= 256);
  const isRange = isSize(min) && (max === undefined || max === null || (isSize(max) && max >= min));
  if (!isNamed || !isRange) throw fail('it has a dimension that is neither a size nor a range');
  return { ...(name === undefined ? {} : { name }), min, max: isSize(max) ? max : undefined };
}

function list(value: unknown, what: string, fail: Fail): unknown[] {
  if (!Array.isArray(value) || value.length > MAX_TENSORS) throw fail(`${what} is not a list`);
  return value as unknown[];
}

function shapeOf(value: unknown, fail: Fail): AotiDimension[] {
  const shape = list(value, 'a shape', fail);
  if (shape.length > MAX_RANK) throw fail(`a shape has ${shape.length} dimensions`);
  return shape.map((each) => dimension(each, fail));
}

function orderOf(value: unknown, rank: number, fail: Fail): number[] | undefined {
  if (value === undefined || value === null) return undefined;
  const order = list(value, 'an order', fail);
  const sorted = [...order].sort((a, b) => Number(a) - Number(b));
  if (order.length !== rank || sorted.some((each, i) => each !== i))
    throw fail('an order is no order of the dimensions');
  return order as number[];
}

function text(value: unknown, what: string, fail: Fail): string {
  if (typeof value !== 'string' || value === '' || value.length > 256) throw fail(`${what} is no name`);
  return value;
}

function dtypeOf(value: unknown, fail: Fail): string {
  const dtype = text(value, 'a dtype', fail);
  if (!DTYPE.test(dtype)) throw fail(`${quote(dtype)} is no dtype`);
  return dtype;
}

function input(value: unknown, fail: Fail): AotiInput {
  if (!isPlainObject(value)) throw fail('an input is no object');
  const shape = shapeOf(value.shape, fail);
  const order = orderOf(value.order, shape.length, fail);
  return {
    name: text(value.name, 'the name of an input', fail),
    dtype: dtypeOf(value.dtype, fail),
    shape,
    ...(order === undefined ? {} : { order }),
  };
}

function output(value: unknown, fail: Fail): AotiOutput {
  if (!isPlainObject(value)) throw fail('an output is no object');
  return {
    name: text(value.name, 'the name of an output', fail),
    ...(value.dtype === undefined ? {} : { dtype: dtypeOf(value.dtype, fail) }),
    ...(value.shape === undefined ? {} : { shape: shapeOf(value.shape, fail) }),
  };
}

function unique(tensors: readonly { name: string }[], what: string, fail: Fail): void {
  const names = new Set(tensors.map(({ name }) => name));
  if (names.size < tensors.length) throw fail(`two ${what} have one name`);
}

/** What our export script writes. */
export interface OwnMetadata {
  signature: AotiSignature;
  torch: string | undefined;
}

/**
 * Reads the signature and the version of torch; undefined where the package was not made by our export script.
 *
 * @throws errors of `fail` if the entry is malformed, or of a later version of this package.
 */
export function readOwnMetadata(
  metadata: Readonly<Record<string, string>>,
  fail: Fail,
): OwnMetadata | undefined {
  if (!Object.hasOwn(metadata, METADATA_KEY)) return undefined;
  const wrong: Fail = (what, cause) =>
    fail(`the metadata entry ${quote(METADATA_KEY)} is malformed: ${what}`, cause);
  let parsed: unknown;
  try {
    parsed = JSON.parse(metadata[METADATA_KEY] ?? '');
  } catch (cause) {
    throw wrong('it is not JSON', cause);
  }
  if (!isPlainObject(parsed)) throw wrong('it is no object');
  const { version, torch } = parsed;
  if (version !== VERSION)
    throw fail(
      `the metadata entry ${quote(METADATA_KEY)} has the version ${quote(String(version))}, and this version of tokenlearner reads ${VERSION}`,
    );
  const inputs = list(parsed.inputs, 'inputs', wrong).map((each) => input(each, wrong));
  const outputs =
    parsed.outputs === undefined
      ? undefined
      : list(parsed.outputs, 'outputs', wrong).map((each) => output(each, wrong));
  unique(inputs, 'inputs', wrong);
  if (outputs !== undefined) unique(outputs, 'outputs', wrong);
  return {
    signature: { inputs, ...(outputs === undefined ? {} : { outputs }), source: 'metadata' },
    torch: typeof torch === 'string' ? torch : undefined,
  };
}

/**
 * Compares the metadata with what the compiled source says. PyTorch keeps metadata from one compilation to the next in a process, so it may
 * be that of another program.
 *
 * @throws errors of `fail` where they differ.
 */
export function demandAgreement(own: AotiSignature, wrapper: AotiSignature | undefined, fail: Fail): void {
  if (wrapper === undefined) return;
  const differ = (what: string) =>
    fail(`its metadata describes another program than its source: ${what}. Export it again`);
  if (own.inputs.length !== wrapper.inputs.length)
    throw differ(`${own.inputs.length} inputs and ${wrapper.inputs.length}`);
  own.inputs.forEach(({ name, dtype, shape, order }, i) => {
    const other = wrapper.inputs[i];
    const sizes = other?.shape.map((size) => (typeof size === 'number' ? size : undefined));
    const isSame =
      other?.dtype === dtype &&
      sizes?.length === shape.length &&
      shape.every((size, at) => (typeof size === 'number' ? sizes[at] === size : sizes[at] === undefined)) &&
      String(order ?? '') === String(other.order ?? '');
    if (!isSame) throw differ(`the input ${quote(name)}`);
  });
}
