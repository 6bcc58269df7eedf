/** Numbers as people read them. Pure. */

const FEWEST_DIGITS = 3;
const MOST_DIGITS = 8;

/** The texts of the numbers of one scale, with equal places after the point, so that the largest has `digits` significant digits. */
function texts(values: readonly number[], digits: number): string[] {
  const largest = Math.max(...values.map(Math.abs));
  const isPlain = largest >= 1e-3 && largest < 1e5;
  const places = Math.max(digits - 1 - Math.floor(Math.log10(largest)), 0);
  return values.map((value) => {
    if (value === 0) return '0';
    const text = isPlain ? value.toFixed(places) : value.toExponential(digits - 1).replace('e+', 'e');
    return /[1-9]/.test(text) ? text.replaceAll('-', '−') : text.replace('-', '');
  });
}

/** The numbers of one scale with three significant digits, and with more where different numbers would have the same text. */
export function formatNumbers(values: readonly number[]): string[] {
  const distinct = new Set(values).size;
  for (let digits = FEWEST_DIGITS; ; digits++) {
    const found = texts(values, digits);
    if (new Set(found).size === distinct || digits === MOST_DIGITS) return found;
  }
}
