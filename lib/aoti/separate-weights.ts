import { isPlainObject } from '../validate';
import { type Fail, quote } from '../formats/format-error';

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
