/**
 * Comparing tensors: equals, allClose, and the assertion for tests.
 */
import { TokenLearnerError } from '../errors';
import { formatShape, sameShape } from '../shape';
import { checkBoolean, checkNumber, checkOptions } from '../validate';
import { checkTensor, type View } from './access';
import { type Values, valuesOf } from './elements';
import type { AnyTensor } from './tensor';

/** How much two elements may differ. They are close if `|actual - expected| <= atol + rtol * |expected|`. */
export interface AllCloseOptions {
  /** The relative tolerance. At least 0. @default 1e-5 */
  rtol?: number | undefined;
  /** The absolute tolerance. At least 0. @default 1e-8 */
  atol?: number | undefined;
  /** Takes NaN to be close to NaN. @default false */
  equalNan?: boolean | undefined;
}

interface Tolerance {
  rtol: number;
  atol: number;
  equalNan: boolean;
}

function checkTolerance(options: unknown): Tolerance {
  const { rtol, atol, equalNan } = checkOptions('options', options, ['rtol', 'atol', 'equalNan']);
  return {
    rtol: checkNumber('options.rtol', rtol ?? 1e-5, 0),
    atol: checkNumber('options.atol', atol ?? 1e-8, 0),
    equalNan: checkBoolean('options.equalNan', equalNan ?? false),
  };
}

export function equals(view: View, other: unknown): boolean {
  const second = checkTensor('other', other);
  if (view.dtype !== second.dtype || view.device !== second.device || !sameShape(view.shape, second.shape))
    return false;
  const [a, b] = [valuesOf(view), valuesOf(second)];
  return a.every((value: number | bigint, i: number) => value === b[i]);
}

/** How far two elements are apart, and how far they may be, in double. */
function distance(
  a: number | bigint,
  b: number | bigint,
  { rtol, atol, equalNan }: Tolerance,
): [apart: number, allowed: number] {
  const [x, y] = [Number(a), Number(b)];
  const tolerance = atol + rtol * Math.abs(y);
  const allowed = Number.isFinite(tolerance) ? tolerance : 0;
  if (a === b || (equalNan && Number.isNaN(x) && Number.isNaN(y))) return [0, allowed];
  // Of int64 elements, whose difference can be exact where they are not.
  const apart = typeof a === 'bigint' && typeof b === 'bigint' ? Math.abs(Number(a - b)) : Math.abs(x - y);
  // Neither NaN nor an infinity is close to another value.
  return [Number.isFinite(apart) ? apart : Infinity, allowed];
}

interface Difference {
  count: number;
  /** The position, in row order, of the element that exceeds its tolerance most. */
  worst: number;
}

function difference(a: Values, b: Values, tolerance: Tolerance): Difference {
  let [count, worst, most] = [0, -1, 0];
  for (let i = 0; i < a.length; i++) {
    const [apart, allowed] = distance(a[i] ?? 0, b[i] ?? 0, tolerance);
    if (apart <= allowed) continue;
    count += 1;
    if (worst >= 0 && apart - allowed <= most) continue;
    most = apart - allowed;
    worst = i;
  }
  return { count, worst };
}

/** The reason why two tensors cannot be compared element by element; undefined if they can. */
function incomparable(a: View, b: View): ['ERR_DTYPE_MISMATCH' | 'ERR_SHAPE_MISMATCH', string] | undefined {
  if (a.dtype !== b.dtype) return ['ERR_DTYPE_MISMATCH', `dtype ${b.dtype} but received ${a.dtype}`];
  if (sameShape(a.shape, b.shape)) return undefined;
  return ['ERR_SHAPE_MISMATCH', `shape ${formatShape(b.shape)} but received ${formatShape(a.shape)}`];
}

export function allClose(view: View, other: unknown, options: unknown): boolean {
  const second = checkTensor('other', other);
  const tolerance = checkTolerance(options);
  const reason = incomparable(second, view);
  if (reason !== undefined) throw new TokenLearnerError(reason[0], `Expected ${reason[1]} for \`other\``);
  return difference(valuesOf(view), valuesOf(second), tolerance).count === 0;
}

/** The indices of an element, such as [0, 2], from its position in row order. */
function indexOf(position: number, shape: readonly number[]): string {
  let rest = position;
  const index = shape.map(() => 0);
  for (let d = shape.length - 1; d >= 0; d--) {
    const size = shape[d] ?? 1;
    index[d] = rest % size;
    rest = Math.floor(rest / size);
  }
  return `[${index.join(', ')}]`;
}

function describeDifference(actual: View, expected: View, tolerance: Tolerance): string | undefined {
  const reason = incomparable(actual, expected);
  if (reason !== undefined) return `Expected ${reason[1]}`;
  const [a, b] = [valuesOf(actual), valuesOf(expected)];
  const { count, worst } = difference(a, b, tolerance);
  if (count === 0) return undefined;
  const [is, allowed] = distance(a[worst] ?? 0, b[worst] ?? 0, tolerance);
  const { rtol, atol } = tolerance;
  return (
    `Expected elements within rtol ${rtol} and atol ${atol}, but ${count} of ${a.length} are not. ` +
    `The worst is at ${indexOf(worst, actual.shape)}: expected ${b[worst]} but received ${a[worst]}, ` +
    `a difference of ${is} where ${allowed} is allowed`
  );
}

/**
 * Asserts that two tensors have the same dtype and shape and that their elements are close, as `torch.testing.assert_close` does.
 * The defaults are those of {@link Tensor.allClose}. For tests: the message gives the number of wrong elements and the worst one,
 * with its index.
 *
 * @throws AssertionError of `node:assert` if they are not; TokenLearnerError for wrong arguments and disposed tensors.
 *
 * @example
 * ```ts
 * import { assertAllClose, Tensor } from 'tokenlearner';
 *
 * assertAllClose(Tensor.from([1, 2.000001]), Tensor.from([1, 2]), { rtol: 1e-5 });
 * ```
 */
export function assertAllClose(actual: AnyTensor, expected: AnyTensor, options?: AllCloseOptions): void {
  const [first, second] = [checkTensor('actual', actual), checkTensor('expected', expected)];
  const message = describeDifference(first, second, checkTolerance(options));
  if (message === undefined) return;
  // Loaded at need: it takes milliseconds.
  const { AssertionError } = process.getBuiltinModule('node:assert');
  throw new AssertionError({ message, operator: 'assertAllClose', stackStartFn: assertAllClose });
}
