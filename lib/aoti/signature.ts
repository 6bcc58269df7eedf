/** What a program expects of its inputs: the caller's `inputs`, the check of each call, and the form for native code. */
import { DTYPES, type DType, dtypeFromCode, dtypeInfo, isDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { TensorArg } from '../native-interface';
import { formatShape, MAX_DIMENSIONS } from '../shape';
import { tensorArgument } from '../tensor/tensor';
import { checkInteger, checkOneOf, checkOptions, checkString, isPlainObject, unexpected } from '../validate';
import type { AotiDimension, AotiInput, AotiOutput, AotiSignature } from './types';

/** An input whose dtype is one of this package's. */
export type ProgramInput = AotiInput & { readonly dtype: DType };

/** A dimension as callers give it: a size; a name or -1 for any size; or bounds. */
export type AotiDimensionOption =
  | number
  | string
  | {
      /** Dimensions of one name have equal sizes. */
      name?: string | undefined;
      /** The smallest size. @default 1 */
      min?: number | undefined;
      /** The largest size. @default no limit */
      max?: number | undefined;
    };

/** An input as callers describe it. */
export interface AotiInputOption {
  /** Its name in messages and in the server. */
  name: string;
  /** The element type. */
  dtype: DType;
  /** Its sizes. Dimensions of one name have equal sizes. */
  shape: readonly AotiDimensionOption[];
}

/** Numbers of a dimension in native code: the largest size there. */
const ANY_SIZE = Number.MAX_SAFE_INTEGER;
/** Native code takes at most 64 numbers for an input: a dtype, and four for each dimension. */
const MOST_DIMENSIONS = Math.floor((MAX_DIMENSIONS - 1) / 4);

function checkDimension(name: string, value: unknown): AotiDimension {
  if (typeof value === 'string') return { name: value, min: 1, max: undefined };
  if (typeof value === 'number') {
    const size = checkInteger(name, value, { min: -1 });
    return size === -1 ? { min: 1, max: undefined } : size;
  }
  if (!isPlainObject(value))
    throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a size, a name or a range', value);
  const given = checkOptions(name, value, ['name', 'min', 'max']);
  const min = given.min === undefined ? 1 : checkInteger(`${name}.min`, given.min, { min: 0 });
  return {
    ...(given.name === undefined ? {} : { name: checkString(`${name}.name`, given.name) }),
    min,
    max: given.max === undefined ? undefined : checkInteger(`${name}.max`, given.max, { min }),
  };
}

/** Checks the option `inputs`. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE. */
export function checkInputsOption(value: unknown): AotiInput[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw unexpected('ERR_INVALID_ARG_TYPE', 'options.inputs', 'an array', value);
  const inputs = Array.from<unknown, AotiInput>(value, (each, i) => {
    const name = `options.inputs[${i}]`;
    if (!isPlainObject(each)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a plain object', each);
    const given = checkOptions(name, each, ['name', 'dtype', 'shape']);
    const { shape } = given;
    if (!Array.isArray(shape)) throw unexpected('ERR_INVALID_ARG_TYPE', `${name}.shape`, 'an array', shape);
    return {
      name: checkString(`${name}.name`, given.name),
      dtype: checkOneOf(`${name}.dtype`, given.dtype, DTYPES),
      shape: Array.from<unknown, AotiDimension>(shape, (size, d) =>
        checkDimension(`${name}.shape[${d}]`, size),
      ),
    };
  });
  if (new Set(inputs.map(({ name }) => name)).size !== inputs.length)
    throw unexpected('ERR_INVALID_ARG_VALUE', 'options.inputs', 'inputs with different names', value);
  return inputs;
}

/** `received`: a size that may not fit. */
function describeDimension(dimension: AotiDimension, received = Infinity): string {
  if (typeof dimension === 'number') return String(dimension);
  const { name = '*', min, max } = dimension;
  if (min === max) return String(min);
  if (max !== undefined) return `${name}: ${min} to ${max}`;
  return min > 1 || received < min ? `${name}: at least ${min}` : name;
}

/** An input as text: 'float32 (batch: 1 to 64, 3, 16, 16)'. */
export function describeInput({ dtype, shape }: Pick<AotiInput, 'dtype' | 'shape'>): string {
  return `${dtype} (${shape.map((each) => describeDimension(each)).join(', ')})`;
}

/** The dimension that holds for both; undefined if they contradict each other. */
function narrowed(known: AotiDimension, given: AotiDimension): AotiDimension | undefined {
  if (typeof known === 'number') return given === known ? known : undefined;
  const within = (size: number): boolean => size >= known.min && size <= (known.max ?? ANY_SIZE);
  // With the known name: the compiled code takes dimensions of one name to be equal.
  if (typeof given === 'number') return within(given) ? { ...known, min: given, max: given } : undefined;
  const isDefault = given.min === 1 && given.max === undefined;
  if (isDefault) return known;
  if (!within(given.min) || !within(given.max ?? known.max ?? ANY_SIZE)) return undefined;
  return { ...known, min: given.min, max: given.max ?? known.max };
}

/**
 * Joins what the archive says with what the caller says. Throws ERR_INVALID_ARG_VALUE if they contradict each other, and
 * ERR_AOTI_PACKAGE if neither says anything.
 */
export function joinSignatures(
  known: AotiSignature | undefined,
  given: readonly AotiInput[] | undefined,
): AotiSignature {
  if (known === undefined && given === undefined) {
    throw new TokenLearnerError(
      'ERR_AOTI_PACKAGE',
      'The package does not tell the dtypes and shapes of its inputs, and a wrong one would be read out of bounds: pass `inputs`, or export it with `npx tokenlearner export-script`',
    );
  }
  if (known === undefined) return { inputs: given ?? [], source: 'inputs' };
  if (given === undefined) return known;
  const contradiction = (i: number, expected: string, received: string): TokenLearnerError =>
    new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected ${expected} for \`options.inputs[${i}]\`, as the package says, but received ${received}`,
    );
  if (given.length !== known.inputs.length) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected ${known.inputs.length} inputs for \`options.inputs\`, as the package has, but received ${given.length}`,
    );
  }
  const inputs = known.inputs.map((input, i): AotiInput => {
    const asked = given[i] ?? input;
    const shape = input.shape.map((dimension, d) => narrowed(dimension, asked.shape[d] ?? dimension));
    const fits =
      asked.dtype === input.dtype && asked.shape.length === shape.length && !shape.includes(undefined);
    if (!fits) throw contradiction(i, describeInput(input), describeInput(asked));
    return { ...input, name: asked.name, shape: shape as AotiDimension[] };
  });
  return { ...known, inputs };
}

/** Checks that each input can be a tensor of this package. Throws ERR_AOTI_PACKAGE. */
export function demandInputs(inputs: readonly AotiInput[]): readonly ProgramInput[] {
  for (const { name, dtype, shape } of inputs) {
    if (!isDType(dtype)) {
      throw new TokenLearnerError(
        'ERR_AOTI_PACKAGE',
        `The program's input \`${name}\` is of dtype ${dtype}, which this package does not have: it has ${DTYPES.join(', ')}`,
      );
    }
    if (shape.length > MOST_DIMENSIONS) {
      throw new TokenLearnerError(
        'ERR_AOTI_PACKAGE',
        `The program's input \`${name}\` has ${shape.length} dimensions; at most ${MOST_DIMENSIONS} work`,
      );
    }
  }
  return inputs as readonly ProgramInput[];
}

/** Numbers dynamic dimensions from 1. Equal names are one number. */
export class Symbols {
  readonly #numbers = new Map<string, number>();
  #last = 0;

  of(dimension: AotiDimension): number {
    if (typeof dimension === 'number') return 0;
    const { name } = dimension;
    const known = name === undefined ? undefined : this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#last += 1;
    if (name !== undefined) this.#numbers.set(name, this.#last);
    return this.#last;
  }
}

/** An input for native code: dtype, order of the dimensions in memory, and symbol, min and max of each dimension. */
export function encodeInput(input: ProgramInput, symbols: Symbols): number[] {
  const order = input.order ?? input.shape.map((_, d) => d);
  return [
    dtypeInfo(input.dtype).code,
    ...order,
    ...input.shape.flatMap((dimension) =>
      typeof dimension === 'number'
        ? [0, dimension, dimension]
        : [symbols.of(dimension), dimension.min, dimension.max ?? ANY_SIZE],
    ),
  ];
}

/** For each output, 1 if its first dimension is that of the first input, otherwise 0. Undefined if the package does not tell. */
export function joinedOutputs(
  [first]: readonly AotiInput[],
  outputs: readonly AotiOutput[] | undefined,
): number[] | undefined {
  if (outputs?.every(({ shape }) => shape !== undefined) !== true) return undefined;
  const batch = first?.shape[0];
  if (batch === undefined || typeof batch === 'number') return outputs.map(() => 0);
  return outputs.map(({ shape = [] }) => {
    const [own] = shape;
    const isSame = typeof own === 'object' && own.name !== undefined && own.name === batch.name;
    // A size that grows with the batch in another dimension too cannot be divided again.
    const others = shape.slice(1).some((each) => typeof each === 'object' && each.name === batch.name);
    return isSame && !others ? 1 : 0;
  });
}

function expectedShape(shape: readonly AotiDimension[], received: readonly number[]): string {
  const dimensions = shape.map((each, d) => describeDimension(each, received[d]));
  return `(${dimensions.join(', ')}${shape.length === 1 ? ',' : ''})`;
}

/** Checks the sizes of inputs, each by itself and against each other. Throws ERR_SHAPE_MISMATCH. */
export function checkSizes(inputs: readonly AotiInput[], shapes: readonly (readonly number[])[]): void {
  const seen = new Map<string, { size: number; where: string }>();
  inputs.forEach(({ name, shape }, i) => {
    const received = shapes[i] ?? [];
    const fits =
      received.length === shape.length &&
      shape.every((dimension, d) => {
        const size = received[d] ?? 0;
        if (typeof dimension === 'number') return size === dimension;
        return size >= dimension.min && size <= (dimension.max ?? ANY_SIZE);
      });
    if (!fits) {
      throw new TokenLearnerError(
        'ERR_SHAPE_MISMATCH',
        `Expected shape ${expectedShape(shape, received)} for \`${name}\` but received ${formatShape(received)}`,
      );
    }
    shape.forEach((dimension, d) => {
      if (typeof dimension === 'number' || dimension.name === undefined) return;
      const [size, where] = [received[d] ?? 0, `dimension ${d} of \`${name}\``];
      const known = seen.get(dimension.name);
      if (known === undefined) seen.set(dimension.name, { size, where });
      else if (known.size !== size) {
        throw new TokenLearnerError(
          'ERR_SHAPE_MISMATCH',
          `Expected ${where} to be ${known.size}, the size of ${known.where} (${dimension.name}), but received ${size}`,
        );
      }
    });
  });
}

/**
 * Checks the values of a call. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, ERR_DETACHED, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH.
 */
export function checkValues(inputs: readonly ProgramInput[], values: readonly unknown[]): TensorArg[] {
  const args = inputs.map(({ name, dtype }, i) => {
    const argument = tensorArgument(name, values[i]);
    const received = dtypeFromCode(argument.dtype);
    if (received !== dtype) {
      throw new TokenLearnerError(
        'ERR_DTYPE_MISMATCH',
        `Expected dtype ${dtype} for \`${name}\` but received ${received}; convert it with to('${dtype}')`,
      );
    }
    return argument;
  });
  checkSizes(
    inputs,
    args.map(({ shape }) => shape),
  );
  return args;
}

/** The shape of an output for the shapes of the inputs; undefined if the package does not tell. */
export function outputShapeOf(
  inputs: readonly AotiInput[],
  shapes: readonly (readonly number[])[],
  output: AotiOutput | undefined,
): number[] | undefined {
  const sizes = new Map<string, number>();
  inputs.forEach(({ shape }, i) => {
    shape.forEach((dimension, d) => {
      if (typeof dimension === 'object' && dimension.name !== undefined)
        sizes.set(dimension.name, shapes[i]?.[d] ?? 0);
    });
  });
  const found = output?.shape?.map((dimension) =>
    typeof dimension === 'number' ? dimension : sizes.get(dimension.name ?? ''),
  );
  return found?.every((size) => size !== undefined) === true ? found : undefined;
}
