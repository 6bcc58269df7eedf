import { inspect } from 'node:util';
import { type DType, dtypeInfo } from '../dtype';
import { elementCount, formatShape, type Shape } from '../shape';
import { elementValue } from './numbers';

// If a tensor has more than THRESHOLD elements, each dimension shows at most EDGE at each end. With many dimensions it shows
// fewer, so that the text never has more than MOST elements.
const EDGE = 3;
const THRESHOLD = 100;
const MOST = 1000;

function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e8) ? value.toExponential(4) : value.toFixed(4);
}

function formatElement(dtype: DType, raw: number | bigint): string {
  const value = elementValue(dtype, raw);
  return typeof value === 'number' && dtypeInfo(dtype).floating ? formatFloat(value) : String(value);
}

/** The number of elements to show at each end of a dimension; 0 if even one is too many. */
function edgeOf(shape: Shape): number {
  if (elementCount(shape) <= THRESHOLD) return Infinity;
  const shown = (edge: number): number => shape.reduce((n, size) => n * Math.min(size, 2 * edge), 1);
  for (let edge = EDGE; edge > 0; edge--) if (shown(edge) <= MOST) return edge;
  return 0;
}

/** Formats the elements in nested brackets. Long dimensions show only their ends. */
function formatValues(
  element: (offset: number) => number | bigint,
  dtype: DType,
  shape: Shape,
  strides: Shape,
  edge: number,
): string {
  const level = (dimension: number, offset: number): string => {
    const size = shape[dimension];
    if (size === undefined) return formatElement(dtype, element(offset));
    const at = (i: number): string => level(dimension + 1, offset + i * (strides[dimension] ?? 0));
    const cut = size > 2 * edge;
    const first = Array.from({ length: cut ? edge : size }, (_, i) => at(i));
    const last = cut ? Array.from({ length: edge }, (_, i) => at(size - edge + i)) : [];
    const parts = cut ? [...first, '...', ...last] : first;
    const innermost = dimension === shape.length - 1;
    return `[${parts.join(innermost ? ', ' : `,\n${' '.repeat(dimension + 1)}`)}]`;
  };
  return level(0, 0);
}

export interface Printed {
  dtype: DType;
  device: string;
  shape: Shape;
  strides: Shape;
  /** Reads the element at an offset from the first. Undefined if elements cannot be read (on a GPU, disposed or detached). */
  element: ((offset: number) => number | bigint) | undefined;
  state: string | undefined;
}

/** The text for util.inspect: shape, dtype, device and a few values. */
export function formatTensor(printed: Printed): string {
  const { dtype, device, shape, strides, element, state } = printed;
  const head = `Tensor(${formatShape(shape)}, ${dtype}, ${device}${state === undefined ? '' : `, ${state}`})`;
  if (element === undefined) return head;
  const edge = edgeOf(shape);
  // Start the first row on a new line, so that the rows line up.
  const separator = shape.length > 1 ? '\n' : ' ';
  return `${head}${separator}${edge === 0 ? '[...]' : formatValues(element, dtype, shape, strides, edge)}`;
}

export const inspectSymbol: typeof inspect.custom = inspect.custom;
