/** The input of a request, checked against the model. */
import { elementSize } from './datatypes';
import type { InputMemory } from './input-pool';
import type { TensorMetadata } from './models/metadata';
import { invalid } from './problem';
import { count } from './values';

/** A request's input: memory of the pool, or a tensor made from numbers. */
export type Input = Pick<InputMemory, 'tensor' | 'release'>;

/** An input that does not come from the pool. */
export function ownInput(tensor: InputMemory['tensor']): Input {
  return {
    tensor,
    release: () => {
      tensor.dispose();
    },
  };
}

/** Checks an input's name, datatype and size. Returns its bytes. Throws a Problem: 400. */
export function checkInput(
  { name, datatype, shape }: { name: string; datatype: string; shape: readonly number[] },
  expected: TensorMetadata,
): number {
  if (name !== expected.name)
    throw invalid(`Expected the input \`${expected.name}\` but received ${JSON.stringify(name)}`);
  if (datatype !== expected.datatype)
    throw invalid(
      `Expected datatype ${expected.datatype} for \`${name}\` but received ${JSON.stringify(datatype)}`,
    );
  const bytes = count(shape) * elementSize(datatype);
  if (!Number.isSafeInteger(bytes))
    throw invalid(`The shape [${shape.join(', ')}] of \`${name}\` is too large`);
  return bytes;
}
