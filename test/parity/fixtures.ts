/** Reads test/fixtures: cases, and the tensors that test/fixtures/generate/fixtures.py stored or that an Lcg gives. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { loadSafetensors, Tensor, type AnyTensor, type DType } from '../../lib';
import { Lcg } from './lcg';

/** Another folder, such as one of random cases by `test/fixtures/generate/fixtures.py --random`, may be named for the tests of the layer. */
const FIXTURES = process.env.TOKENLEARNER_FIXTURES ?? path.join(__dirname, '..', 'fixtures');

/** A tensor that the case's Lcg gives. */
export interface MadeTensor {
  name: string;
  shape: number[];
  scale: number;
  /** What is added to each number. @default 0 */
  offset?: number;
}

/** A layer: its class, positional arguments, options. */
export type LayerSpec = [name: string, args: unknown[], options: Record<string, unknown>];

export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(path.join(FIXTURES, file), 'utf8'));
}

/** The tensors of a case in the order of its list, on the CPU. */
export function makeTensors(seed: number, tensors: MadeTensor[], dtype: DType): Record<string, AnyTensor> {
  const lcg = new Lcg(seed);
  const make = ({ shape, scale, offset = 0 }: MadeTensor): AnyTensor => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (dtype === 'float64') return Tensor.from(lcg.float64(count, scale, offset), shape);
    return Tensor.from(lcg.float32(count, scale, offset), shape).to(dtype);
  };
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, make(tensor)]));
}

/** The numbers of a tensor of any floating-point dtype. */
export function numbers(tensor: AnyTensor): Float64Array {
  return Float64Array.from(tensor.to('float64').contiguous().data);
}

/** The bytes of a contiguous tensor. */
export function bytes(tensor: AnyTensor): Buffer {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** The tensors of a stored file; throws where `names` lacks one. */
export async function loadTensors(file: string, ...names: string[]): Promise<AnyTensor[]> {
  const stored = await loadSafetensors(path.join(FIXTURES, file));
  return names.map((name) => {
    const tensor = stored[name];
    if (tensor === undefined) throw new Error(`${file} has no tensor ${name}`);
    return tensor;
  });
}
