/**
 * Tensors with a given content: one value, random numbers, sequences.
 */
import { binding } from '../binding';
import { deviceCode, hasUsableGpu } from '../device';
import { type DType, dtypeInfo, DTYPES } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkShape, elementCount, type Shape } from '../shape';
import { checkInteger, checkNumber, checkOneOf, unexpected } from '../validate';
import { adoptTensor, checkTensor, tensorArgument } from './access';
import { fillValue, tensorOptions } from './arguments';
import { allocated, moved } from './copy';
import { encoded, rawElements } from './elements';
import { elementValue } from './numbers';
import type { AnyTensor } from './tensor';
import { typedArrayOf } from './typed-array';

const FLOATING = DTYPES.filter((dtype) => dtypeInfo(dtype).floating);
const COUNTING = DTYPES.filter((dtype) => dtype !== 'bool');

type Options = ReturnType<typeof tensorOptions>;
type Element = number | bigint;

/** Allocates a tensor, lets `write` write its elements, and moves it to the device of the options. */
function written(
  { dtype, device, pinned }: Options,
  shape: Shape,
  write: (made: AnyTensor) => void,
): AnyTensor {
  const made = allocated<DType>(shape, dtype, { zeroed: false, pinned });
  write(made);
  return moved(made, device);
}

/** As {@link written}, with elements by their index, each rounded to the dtype. */
function indexed(options: Options, shape: Shape, element: (index: number) => Element): AnyTensor {
  return written(options, shape, (made) => {
    const elements = typedArrayOf(made.numel, options.dtype);
    for (let i = 0; i < elements.length; i++) elements[i] = encoded(element(i), options.dtype);
    binding().write(tensorArgument('tensor', made), elements);
  });
}

export function allocate(shape: unknown, options: unknown, zeroed: boolean): AnyTensor {
  const { dtype, device, pinned } = tensorOptions(options);
  return moved(allocated<DType>(checkShape('shape', shape), dtype, { zeroed, pinned }), device);
}

export function full(shape: unknown, value: unknown, options: unknown): AnyTensor {
  const checked = tensorOptions(options);
  const { dtype } = checked;
  const element = typedArrayOf([encoded(fillValue('value', value, dtype), dtype)], dtype);
  return written(checked, checkShape('shape', shape), (made) => {
    binding().fill(tensorArgument('tensor', made), element);
  });
}

function floatingOptions(options: unknown): Options {
  const checked = tensorOptions(options);
  checkOneOf('options.dtype', checked.dtype, FLOATING);
  return checked;
}

/** Draws in float32 or float64, for a tensor of the dtype. `convert` turns the float32 draws of a 16-bit dtype into its elements. */
function random(
  shape: unknown,
  options: unknown,
  draw: (target: AnyTensor, dtype: DType) => void,
  convert: (drawn: number, dtype: DType) => Element,
): AnyTensor {
  const checked = floatingOptions(options);
  const sizes = checkShape('shape', shape);
  if (dtypeInfo(checked.dtype).itemSize > 2) {
    return written(checked, sizes, (made) => {
      draw(made, checked.dtype);
    });
  }
  const drawn = allocated(sizes, 'float32');
  draw(drawn, checked.dtype);
  const draws = rawElements(checkTensor('tensor', drawn));
  drawn.dispose();
  return indexed(checked, sizes, (i) => convert(Number(draws[i]), checked.dtype));
}

export function randn(shape: unknown, options: unknown): AnyTensor {
  return random(
    shape,
    options,
    (target, dtype) => {
      binding().normal(tensorArgument('tensor', target), dtypeInfo(dtype).code);
    },
    (drawn) => drawn,
  );
}

export function rand(shape: unknown, options: unknown): AnyTensor {
  return random(
    shape,
    options,
    (target) => {
      binding().uniform(tensorArgument('tensor', target), 0, 1);
    },
    // A draw that the dtype rounds to 1 becomes 0, as in PyTorch: 1 is not in the range.
    (drawn, dtype) => (elementValue(dtype, encoded(drawn, dtype)) === 1 ? 0 : drawn),
  );
}

/** The awaitable form of {@link randn} and {@link rand}: the same numbers, drawn on an executor's thread. */
export async function randomAsync(
  method: 'normal' | 'uniform',
  shape: unknown,
  options: unknown,
): Promise<AnyTensor> {
  const { dtype, device, pinned } = floatingOptions(options);
  const sizes = checkShape('shape', shape);
  const { code, itemSize } = dtypeInfo(dtype);
  elementCount(sizes, itemSize); // Throws if there are too many.
  const native = binding();
  const [made] = await native.randomAsync(
    method === 'normal',
    sizes,
    code,
    deviceCode(device),
    pinned && hasUsableGpu(),
  );
  return adoptTensor(made);
}

function checkNumeric(name: string, value: unknown): Element {
  return typeof value === 'bigint' ? value : checkNumber(name, value);
}

/** The start, end and step of arange; a single argument is the end. */
function rangeOf(first: unknown, end: unknown, step: unknown): [start: Element, end: Element, step: Element] {
  const by = step === undefined ? 1 : checkNumeric('step', step);
  if (Number(by) === 0) throw unexpected('ERR_OUT_OF_RANGE', 'step', 'a number other than 0', step);
  const [from, to]: [Element, Element] =
    end === undefined
      ? [0, checkNumeric('start', first)]
      : [checkNumeric('start', first), checkNumeric('end', end)];
  if (Number(by) > 0 ? from > to : from < to) {
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected \`step\` to lead from ${from} to ${to} but received ${by}`,
    );
  }
  return [from, to, by];
}

export function arange(...[first, end, step, options]: unknown[]): AnyTensor {
  const range = rangeOf(first, end, step);
  const integral = range.every((value) => typeof value === 'bigint' || Number.isSafeInteger(value));
  const asked = tensorOptions(options, integral ? 'int64' : 'float32');
  const { dtype } = asked;
  checkOneOf('options.dtype', dtype, COUNTING);
  if (!integral) {
    if (!FLOATING.includes(dtype))
      throw unexpected('ERR_INVALID_ARG_VALUE', 'options.dtype', 'a floating dtype for these numbers', dtype);
    const [start, stop, stride] = range.map(Number) as [number, number, number];
    const count = Math.ceil((stop - start) / stride);
    return indexed(asked, checkShape('shape', [count]), (i) => start + i * stride);
  }
  const [start, stop, stride] = range.map(BigInt) as [bigint, bigint, bigint];
  const whole = (stop - start) / stride;
  const count = Number(whole) + (start + whole * stride === stop ? 0 : 1);
  return indexed(asked, checkShape('shape', [count]), (i) => truncated(start + BigInt(i) * stride, dtype));
}

/** A number as an element of `dtype`; for integers without its fraction. Throws ERR_OUT_OF_RANGE if it would wrap. */
function truncated(value: Element, dtype: DType): Element {
  if (FLOATING.includes(dtype)) return Number(value);
  return fillValue(
    'value',
    dtype === 'int64' && typeof value === 'bigint' ? value : Math.trunc(Number(value)),
    dtype,
  );
}

/** `base + step * count` with one rounding, as one instruction of a processor computes it: the error of each operation is added. */
function fused(base: number, step: number, count: number): number {
  const product = step * count;
  const SPLIT = 2 ** 27 + 1;
  const high = step * SPLIT - (step * SPLIT - step);
  const sum = base + product;
  const added = sum - base;
  const error = high * count - product + (step - high) * count + (base - (sum - added)) + (product - added);
  return Number.isFinite(error) ? sum + error : sum;
}

/** The elements of linspace before the last rounding. PyTorch computes in the dtype, and for integers in float64; from the nearer end. */
function lineOf(from: number, to: number, count: number, dtype: DType): (index: number) => number {
  const { itemSize, floating: isFloat } = dtypeInfo(dtype);
  const round = (value: number): number =>
    itemSize === 2
      ? Number(elementValue(dtype, encoded(value, dtype)))
      : dtype === 'float32'
        ? Math.fround(value)
        : value;
  const [first, last] = [from, to].map(isFloat ? round : Math.trunc) as [number, number];
  const step = round(round(last - first) / round(count - 1));
  const moved = (base: number, by: number, steps: number): number => {
    if (!isFloat || itemSize === 8) return fused(base, by, steps);
    // The product of two float32 is exact in float64.
    return base + (itemSize === 2 ? round(by * round(steps)) : by * round(steps));
  };
  return (i) => {
    if (count === 1) return first;
    return i < Math.floor(count / 2) ? moved(first, step, i) : moved(last, -step, count - i - 1);
  };
}

export function linspace(start: unknown, end: unknown, steps: unknown, options: unknown): AnyTensor {
  const asked = tensorOptions(options);
  const { dtype } = asked;
  checkOneOf('options.dtype', dtype, COUNTING);
  const [from, to] = [checkNumber('start', start), checkNumber('end', end)];
  const count = checkInteger('steps', steps, { min: 0 });
  const line = lineOf(from, to, count, dtype);
  return indexed(asked, checkShape('shape', [count]), (i) => truncated(line(i), dtype));
}

export function eye(...[n, m, options]: unknown[]): AnyTensor {
  const rows = checkInteger('n', n, { min: 0 });
  const columns = m === undefined ? rows : checkInteger('m', m, { min: 0 });
  return indexed(tensorOptions(options), checkShape('shape', [rows, columns]), (i) =>
    i % columns === Math.floor(i / columns) ? 1 : 0,
  );
}
