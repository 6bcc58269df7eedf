import type { ArrayEntry } from '../formats/array-entry';
import { bytesSource } from '../formats/byte-source';
import { readSavedTensor } from '../formats/checkpoint';
import { type Fail, quote } from '../formats/format-error';
import type { ZipArchive } from '../formats/zip-archive';
import { elementCount } from '../shape';
import { type AnyTensor, Tensor } from '../tensor/tensor';
import { isPlainObject } from '../validate';

/** Where a weight lies that is not in the library: a part of a tensor that torch.save wrote into a record. */
export interface SeparateWeight {
  /** The record under data/weights/. */
  readonly record: string;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
  /** In elements. */
  readonly offset: number;
}

const RECORD = /^[\w.-]{1,255}$/;

function integers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && (each as number) >= 0);
}

/** Reads weights_config.json: original name -> [record, shape, stride, offset]. Throws errors of `fail` if it is malformed. */
export function readWeightsConfig(text: string, fail: Fail): ReadonlyMap<string, SeparateWeight> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw fail('its list of weights is not JSON', cause);
  }
  if (!isPlainObject(parsed)) throw fail('its list of weights is no object');
  const weights = new Map<string, SeparateWeight>();
  for (const [name, value] of Object.entries(parsed)) {
    const [record, shape, strides, offset] = Array.isArray(value) ? (value as unknown[]) : [];
    const isWeight =
      typeof record === 'string' &&
      RECORD.test(record) &&
      integers(shape) &&
      integers(strides) &&
      shape.length === strides.length &&
      integers([offset]);
    if (!isWeight) throw fail(`its list of weights has ${quote(name)} in an unknown form`);
    weights.set(name, { record, shape, strides, offset: offset as number });
  }
  return weights;
}

/** The dimensions from the outermost in memory to the innermost. Undefined if elements have gaps between them, or share memory. */
function denseOrder({ shape, strides }: SeparateWeight): number[] | undefined {
  const order = shape.map((_, i) => i).sort((a, b) => (strides[b] ?? 0) - (strides[a] ?? 0) || a - b);
  let expected = 1;
  for (const dimension of [...order].reverse()) {
    if (shape[dimension] === 1) continue;
    if (strides[dimension] !== expected) return undefined;
    expected *= shape[dimension] ?? 1;
  }
  return order;
}

/** Copies a weight from its record's tensor into native memory, in the weight's own strides. */
function weightFrom(
  { data, dtype }: ArrayEntry,
  weight: SeparateWeight,
  name: string,
  fail: Fail,
): AnyTensor {
  const { shape, offset } = weight;
  const order = denseOrder(weight);
  if (order === undefined)
    throw fail(`the weight ${quote(name)} lies in memory with gaps, which is not supported`);
  const count = elementCount(shape);
  if (offset + count > data.length) throw fail(`the weight ${quote(name)} lies outside of its record`);
  const stored = order.map((dimension) => shape[dimension] ?? 1);
  const lent = Tensor.from(data.subarray(offset, offset + count), stored, { dtype });
  const copy = lent.clone();
  lent.dispose();
  const back = order.map((_, dimension) => order.indexOf(dimension));
  const tensor = copy.permute(back);
  copy.dispose();
  return tensor;
}

/**
 * Reads the weights that lie in records of their own.
 *
 * @param root - what the names of all records begin with
 * @returns original name -> tensor. The caller disposes them.
 * @throws TokenLearnerError ERR_FILE_FORMAT, and errors of `fail`
 */
export async function readSeparateWeights(
  archive: ZipArchive,
  root: string,
  weights: ReadonlyMap<string, SeparateWeight>,
  fail: Fail,
): Promise<Map<string, AnyTensor>> {
  const byRecord = new Map<string, [name: string, weight: SeparateWeight][]>();
  for (const [name, weight] of weights) {
    const { record } = weight;
    byRecord.set(record, [...(byRecord.get(record) ?? []), [name, weight]]);
  }
  const tensors = new Map<string, AnyTensor>();
  try {
    for (const [record, parts] of byRecord) {
      const bytes = await archive.read(`${root}data/weights/${record}`);
      const entry = await readSavedTensor(bytesSource(bytes), `the record ${quote(record)}`);
      for (const [name, weight] of parts) tensors.set(name, weightFrom(entry, weight, name, fail));
    }
    return tensors;
  } catch (error) {
    for (const tensor of tensors.values()) tensor.dispose();
    throw error;
  }
}
