/** The input of a request, checked against the model. */
import { type FloatDType, Tensor } from 'tokenlearner';
import { bytesOf, dtypeOf, elementSize } from './datatypes';
import type { InputMemory, InputPool } from './input-pool';
import type { TensorMetadata } from './models/metadata';
import type { Runner } from './models/runner';
import { invalid, quoted } from './problem';
import { count } from './values';

/** A request's input: memory of the pool, or a tensor made from numbers. */
export type Input = Pick<InputMemory, 'tensor' | 'release'>;

/** An input that does not come from the pool. A model's JavaScript may keep it, or still use it after a timeout: it is left to the garbage collector. */
export function ownInput(tensor: InputMemory['tensor'], { isNative }: Runner): Input {
  return {
    tensor,
    release: () => {
      if (isNative) tensor.dispose();
    },
  };
}

/**
 * Memory for an input whose datatype and shape were checked. That of the pool goes to other requests later, so only native code gets it: a
 * model's JavaScript could keep it, return it, or read what lies around it. Throws ERR_OUT_OF_MEMORY.
 */
export function inputMemory(
  pool: InputPool,
  runner: Runner,
  datatype: string,
  shape: readonly number[],
): InputMemory {
  if (runner.isNative) return pool.allocate(datatype, shape);
  const tensor = Tensor.empty(shape, { dtype: dtypeOf(datatype) as FloatDType });
  return { ...ownInput(tensor, runner), bytes: bytesOf(tensor.data) };
}

/** A request's inputs in the order of the model's. Throws a Problem: 400. */
export function inOrder<T extends { name: string }>(
  known: readonly TensorMetadata[],
  inputs: readonly T[],
): T[] {
  const names = known.map(({ name }) => `\`${name}\``).join(', ');
  const expected = known.length === 1 ? `one input, ${names}` : `the inputs ${names}`;
  if (inputs.length !== known.length) throw invalid(`Expected ${expected}, but received ${inputs.length}`);
  if (known.length === 1) return [...inputs];
  return known.map(({ name }) => {
    const found = inputs.filter((each) => each.name === name);
    const [only] = found;
    if (only === undefined || found.length > 1)
      throw invalid(
        `Expected ${expected}, each once, but received ${inputs.map((each) => quoted(each.name)).join(', ')}`,
      );
    return only;
  });
}

/** Checks an input's name, datatype and size. Returns its bytes. Throws a Problem: 400. */
export function checkInput(
  { name, datatype, shape }: { name: string; datatype: string; shape: readonly number[] },
  expected: TensorMetadata,
): number {
  if (name !== expected.name)
    throw invalid(`Expected the input \`${expected.name}\` but received ${quoted(name)}`);
  if (datatype !== expected.datatype)
    throw invalid(`Expected datatype ${expected.datatype} for \`${name}\` but received ${quoted(datatype)}`);
  const bytes = count(shape) * elementSize(datatype);
  if (!Number.isSafeInteger(bytes))
    throw invalid(`The shape [${shape.join(', ')}] of \`${name}\` is too large`);
  return bytes;
}
