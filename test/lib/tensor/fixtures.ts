import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type AnyTensor, Tensor, type TensorJSON } from '../../../lib';
import { elementsOf, type Method } from '../support';

const FILE = path.join(__dirname, '../../fixtures/tensors/tensors.json');

interface Operation {
  method: string;
  tensor: TensorJSON;
  transposed: boolean;
  args: unknown[];
  expected: TensorJSON;
}

interface Fixtures {
  operations: Operation[];
  topk: (Operation & { indices: TensorJSON })[];
  joins: { method: 'cat' | 'stack'; tensors: TensorJSON[]; dim: number; expected: TensorJSON }[];
  created: { method: string; args: unknown[]; expected: TensorJSON }[];
  random: { seed: string; expected: TensorJSON; next: TensorJSON }[];
  printed: { tensor?: TensorJSON; shape: number[]; dtype: string; text: string }[];
}

/** What PyTorch gives; see test/fixtures/generate/operations.py. */
export const fixtures = JSON.parse(readFileSync(FILE, 'utf8')) as Fixtures;

/** Calls a method by its name. */
export function call(target: object, method: string, args: unknown[]): AnyTensor {
  return (target as Record<string, Method>)[method]?.call(target, ...args) as AnyTensor;
}

/** The tensor that a case is about. A transposed one has strided memory. */
export function inputOf({ tensor, transposed }: { tensor: TensorJSON; transposed: boolean }): AnyTensor {
  const made = Tensor.from(tensor);
  return transposed ? made.T : made;
}

/** Expects the dtype, the shape and every element; of float64 results up to two units in the last place. */
export function expectTensor(actual: AnyTensor, json: TensorJSON): void {
  const expected = Tensor.from(json);
  expect(actual).toMatchObject({ dtype: expected.dtype, shape: expected.shape });
  if (actual.dtype !== 'float64') {
    expect(elementsOf(actual)).toEqual(elementsOf(expected));
    return;
  }
  expect(actual.allClose(expected as Tensor<'float64'>, { rtol: 2 ** -51, atol: 0, equalNan: true })).toBe(
    true,
  );
}
