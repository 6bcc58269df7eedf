/**
 * The text of console.log: what PyTorch's repr shows, with its default print options. After torch/_tensor_str.py.
 */
import { type DType, dtypeInfo } from '../dtype';
import { elementCount, formatShape, type Shape } from '../shape';
import { elementValue } from './numbers';

const PRECISION = 4;
const LINE_WIDTH = 80;
const EDGE = 3;
/** A tensor with more elements shows only {@link EDGE} at each end of its dimensions. */
export const THRESHOLD = 1000;
/** Unlike PyTorch, a tensor of many dimensions shows fewer at each end, so that no text has more elements than this. */
const MOST = 2000;
const PREFIX = 'tensor(';

type Value = number | bigint | boolean;

/**
 * Rounds a decimal text as Python does: ties to even. JavaScript rounds them up. `exact` is the number's exact decimal expansion,
 * and `rounded` JavaScript's rounding to fewer digits.
 */
function evenTie(exact: string, rounded: string, lower: string): string {
  const rest = exact.slice(lower.length);
  return /^50*$/.test(rest) && Number(lower.at(-1)) % 2 === 0 ? lower : rounded;
}

function fixed(value: number, digits: number): string {
  const size = Math.abs(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (size >= 1e21) return sign + BigInt(size).toString() + (digits === 0 ? '' : `.${'0'.repeat(digits)}`);
  const exact = size.toFixed(100);
  return sign + evenTie(exact, size.toFixed(digits), exact.slice(0, exact.indexOf('.') + 1 + digits));
}

function exponential(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  const [exact = '', power = ''] = size.toExponential(100).split('e');
  const [rounded = '', roundedPower = ''] = size.toExponential(PRECISION).split('e');
  const digits = evenTie(exact, rounded, exact.slice(0, 2 + PRECISION));
  const exponent = digits === rounded ? roundedPower : power;
  return `${sign}${digits}e${exponent.slice(0, 1)}${exponent.slice(1).padStart(2, '0')}`;
}

function special(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}

/** Formats the elements of one tensor alike: chooses between integers, decimals and exponents by the elements that it shows. */
function formatOf(values: readonly Value[], dtype: DType): Format {
  const { text, width } = dtypeInfo(dtype).floating
    ? floatFormat(values as readonly number[])
    : otherFormat(values);
  return { text: (value) => text(value).padStart(width), width };
}

interface Format {
  text: (value: Value) => string;
  /** Of a finite element. */
  width: number;
}

function otherFormat(values: readonly Value[]): Format {
  const text = (value: Value): string =>
    typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
  return { text, width: Math.max(1, ...values.map((value) => text(value).length)) };
}

function floatFormat(values: readonly number[]): Format {
  const usual = values.filter((value) => Number.isFinite(value) && value !== 0);
  const sizes = usual.map(Math.abs);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const scientific = usual.length > 0 && (most / least > 1000 || most > 1e8 || least < 1e-4);
  const whole = usual.every(Number.isInteger);
  const number = (value: number): string => {
    if (scientific) return exponential(value);
    return whole ? `${fixed(value, 0)}.` : fixed(value, PRECISION);
  };
  const text = (value: Value): string =>
    Number.isFinite(value) ? number(Number(value)) : special(Number(value));
  return { text, width: Math.max(1, ...usual.map((value) => number(value).length)) };
}

/** The number of elements to show at each end of a dimension; 0 if even one is too many. */
function edgeOf(shape: Shape): number {
  if (elementCount(shape) <= THRESHOLD) return Infinity;
  const shown = (edge: number): number =>
    shape.reduce((n, size) => n * (size > 2 * edge ? 2 * edge : size), 1);
  for (let edge = EDGE; edge > 0; edge--) if (shown(edge) <= MOST) return edge;
  return 0;
}

/** The positions to show in a dimension. Undefined stands for the gap. */
function positions(size: number, edge: number): (number | undefined)[] {
  if (size <= 2 * edge) return Array.from({ length: size }, (_, i) => i);
  const first = Array.from({ length: edge }, (_, i) => i);
  return [...first, undefined, ...first.map((i) => size - edge + i)];
}

/** The values to show, in nested arrays; undefined stands for a gap. */
type Shown = Value | undefined | Shown[];

function shownValues({ element, dtype, shape, strides }: Readable, edge: number): Shown {
  const level = (dimension: number, offset: number): Shown => {
    const size = shape[dimension];
    if (size === undefined) return elementValue(dtype, element(offset));
    return positions(size, edge).map((i) =>
      i === undefined ? undefined : level(dimension + 1, offset + i * (strides[dimension] ?? 0)),
    );
  };
  return level(0, 0);
}

function leaves(shown: Shown): Value[] {
  if (Array.isArray(shown)) return shown.flatMap(leaves);
  return shown === undefined ? [] : [shown];
}

/** Formats one level. `indent` is the column of its bracket. */
function bracketed(shown: Shown, format: Format, indent: number): string {
  if (!Array.isArray(shown)) return shown === undefined ? '...' : format.text(shown);
  const open = `\n${' '.repeat(indent + 1)}`;
  if (shown.some(Array.isArray)) {
    let depth = 0;
    for (let inner: Shown = shown; Array.isArray(inner); inner = inner[0]) depth += 1;
    const parts = shown.map((part) => bracketed(part, format, indent + 1));
    return `[${parts.join(`,${'\n'.repeat(depth - 2)}${open}`)}]`;
  }
  const items = shown.map((item) => (item === undefined ? ' ...' : format.text(item as Value)));
  const perLine = Math.max(1, Math.floor((LINE_WIDTH - indent) / (format.width + 2)));
  const lines: string[] = [];
  for (let i = 0; i < items.length; i += perLine) lines.push(items.slice(i, i + perLine).join(', '));
  return `[${lines.join(`,${open}`)}]`;
}

export interface Printed {
  dtype: DType;
  device: string;
  shape: Shape;
  strides: Shape;
  /** Reads the element at an offset from the first. Undefined if elements cannot be read. */
  element: ((offset: number) => number | bigint) | undefined;
  /** Why they cannot be read. */
  state: string | undefined;
}

type Readable = Printed & { element: (offset: number) => number | bigint };

function formatValues(printed: Readable): string | undefined {
  const { shape, dtype } = printed;
  if (elementCount(shape) === 0) return '[]';
  const edge = edgeOf(shape);
  if (edge === 0) return undefined;
  const shown = shownValues(printed, edge);
  return bracketed(shown, formatOf(leaves(shown), dtype), PREFIX.length);
}

/** Adds the suffixes, on a new line where they do not fit. */
function suffixed(text: string, suffixes: string[]): string {
  let result = text;
  let length = text.length - text.lastIndexOf('\n') + 1;
  for (const suffix of suffixes) {
    const fits = length + suffix.length + 2 <= LINE_WIDTH;
    result += fits ? `, ${suffix}` : `,\n${' '.repeat(PREFIX.length)}${suffix}`;
    length = fits ? length + suffix.length + 2 : PREFIX.length + suffix.length;
  }
  return `${result})`;
}

/** The text for util.inspect. */
export function formatTensor(printed: Printed): string {
  const { dtype, device, shape, element, state } = printed;
  const values = element === undefined ? undefined : formatValues({ ...printed, element });
  const isEmpty = elementCount(shape) === 0;
  const usual: DType[] = isEmpty || values === undefined ? ['float32'] : ['float32', 'int64', 'bool'];
  const size = values === undefined || (isEmpty && shape.length !== 1);
  return suffixed(PREFIX + (values ?? (state === undefined ? '[...]' : `<${state}>`)), [
    ...(device === 'cpu' ? [] : [`device='${device}'`]),
    ...(size ? [`size=${formatShape(shape)}`] : []),
    ...(usual.includes(dtype) ? [] : [`dtype=torch.${dtype}`]),
  ]);
}

/** `util.inspect.custom`, by its registered name: the declarations of the public API then need no types of Node. */
export const inspectSymbol: unique symbol = Symbol.for('nodejs.util.inspect.custom');
