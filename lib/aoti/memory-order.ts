/** The sizes of an input, and its strides if the source tells them, as products: '3L', 's17', '12L*s17'. */
export interface Sizes {
  sizes: readonly string[];
  strides: readonly string[] | undefined;
}

/** A product in one form: the number, then the symbols in order. Null for anything else than a product. */
function product(factors: readonly string[]): string | null {
  let number = 1;
  const symbols: string[] = [];
  for (const factor of factors.flatMap((each) => each.replaceAll(/[()\s]/g, '').split('*'))) {
    const digits = /^(?:static_cast<int64_t>)?(\d+)L?$/.exec(factor)?.[1];
    if (digits !== undefined) number *= Number(digits);
    else if (/^s\d+$/.test(factor)) symbols.push(factor);
    else return null;
  }
  return Number.isSafeInteger(number) ? [number, ...symbols.sort()].join('*') : null;
}

/** The strides of dense memory in that order, as products; null where one cannot be told. */
function denseStrides(sizes: readonly string[], order: readonly number[]): (string | null)[] {
  const strides: (string | null)[] = sizes.map(() => null);
  order.forEach((dimension, i) => {
    strides[dimension] = product(order.slice(i + 1).map((inner) => sizes[inner] ?? ''));
  });
  return strides;
}

/** True if no stride that is known speaks against the order. A dimension of size 1 may have any stride. */
function agrees(
  order: readonly number[],
  { sizes, strides }: Sizes,
  known: ReadonlyMap<number, number>,
): boolean {
  return denseStrides(sizes, order).every((expected, dimension) => {
    if (sizes[dimension] === '1L') return true;
    if (expected === null) return false;
    const fixed = known.get(dimension);
    if (fixed !== undefined) return expected === String(fixed);
    // A stride that depends on a symbol is not compared by the check function.
    if (/^\d+$/.test(expected)) return false;
    return strides === undefined || product([strides[dimension] ?? '']) === expected;
  });
}

/**
 * The dimensions from the outermost in memory to the innermost: row by row, or channels-last, or as the strides order them. Undefined if the
 * memory is not dense in any of these.
 *
 * @param known - the strides that are numbers, by dimension
 */
export function memoryOrder(sizes: Sizes, known: ReadonlyMap<number, number>): number[] | undefined {
  const rows = sizes.sizes.map((_, i) => i);
  const [first, second, ...inner] = rows;
  const channelsLast = first === undefined || second === undefined ? rows : [first, ...inner, second];
  const byStride = [...rows].sort((a, b) => (known.get(b) ?? Infinity) - (known.get(a) ?? Infinity) || a - b);
  return [rows, channelsLast, byStride].find((order) => agrees(order, sizes, known));
}
