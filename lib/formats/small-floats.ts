/** Floats of 8 and 16 bits: the value of a bit pattern. Every value is exact in a JavaScript number. */

/** The layout of a small float: a sign bit, then the exponent, then the mantissa. */
interface Layout {
  /** All of them, the sign included. */
  bits: 8 | 16;
  mantissaBits: number;
  bias: number;
  /** Returns NaN or an infinity for the bit patterns that stand for one, else undefined. */
  special: (bits: number) => number | undefined;
}

/** IEEE 754: an exponent of all ones is an infinity if the mantissa is 0, else NaN. */
function ieeeSpecial({ bits, mantissaBits }: Omit<Layout, 'special'>): Layout['special'] {
  const sign = 2 ** (bits - 1);
  const infinity = sign - 2 ** mantissaBits;
  return (pattern) => {
    const magnitude = pattern % sign;
    if (magnitude < infinity) return undefined;
    if (magnitude > infinity) return NaN;
    return pattern >= sign ? -Infinity : Infinity;
  };
}

/** As {@link decoder}, for a float of IEEE 754. */
function ieeeDecoder(layout: Omit<Layout, 'special'>): (bits: number) => number {
  return decoder({ ...layout, special: ieeeSpecial(layout) });
}

function decoder({ bits: width, mantissaBits, bias, special }: Layout): (bits: number) => number {
  const sign = 2 ** (width - 1);
  const one = 2 ** mantissaBits;
  return (bits) => {
    const named = special(bits);
    if (named !== undefined) return named;
    const magnitude = bits % sign;
    const exponent = magnitude >> mantissaBits;
    const fraction = (magnitude % one) / one;
    const value = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
    return bits >= sign ? -value : value;
  };
}

/** "fnuz": finite; the pattern of negative zero is NaN. */
const fnuzSpecial = (bits: number): number | undefined => (bits === 0x80 ? NaN : undefined);
/** "fn": finite; a magnitude of all ones is NaN. */
const fnSpecial = (bits: number): number | undefined => (bits % 0x80 === 0x7f ? NaN : undefined);

/** The value of a float16 (IEEE binary16). */
export const fromFloat16 = ieeeDecoder({ bits: 16, mantissaBits: 10, bias: 15 });
/** The value of a bfloat16. */
export const fromBFloat16 = ieeeDecoder({ bits: 16, mantissaBits: 7, bias: 127 });

/** The values of the 8-bit floats, by PyTorch's names. */
export const FLOAT8: ReadonlyMap<string, (bits: number) => number> = new Map([
  ['float8_e4m3fn', decoder({ bits: 8, mantissaBits: 3, bias: 7, special: fnSpecial })],
  ['float8_e5m2', ieeeDecoder({ bits: 8, mantissaBits: 2, bias: 15 })],
  ['float8_e4m3fnuz', decoder({ bits: 8, mantissaBits: 3, bias: 8, special: fnuzSpecial })],
  ['float8_e5m2fnuz', decoder({ bits: 8, mantissaBits: 2, bias: 16, special: fnuzSpecial })],
  // An exponent alone.
  ['float8_e8m0fnu', (bits) => (bits === 0xff ? NaN : 2 ** (bits - 127))],
]);

const DOUBLE = new Float64Array(1);
const WORDS = new Uint32Array(DOUBLE.buffer);
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

/** The exponent of a positive number: floor(log2(size)); below -1022 for subnormal numbers. */
function exponentOf(size: number): number {
  DOUBLE[0] = size;
  return ((WORDS[HIGH] ?? 0) >>> 20) - 1023;
}

/** Rounds a number to the nearest 16-bit float of IEEE 754, ties to even, and returns its bits. NaN is the positive quiet NaN. */
function ieeeEncoder(mantissaBits: number, bias: number): (value: number) => number {
  const infinity = 0x8000 - 2 ** mantissaBits;
  return (value) => {
    if (Number.isNaN(value)) return infinity + 2 ** (mantissaBits - 1);
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const size = Math.abs(value);
    const exponent = Math.min(Math.max(exponentOf(size), 1 - bias), bias + 1);
    // Dividing by a power of two is exact. The result counts units in the last place, the implicit one included.
    const units = size / 2 ** (exponent - mantissaBits);
    const lower = Math.floor(units);
    const rest = units - lower;
    const rounded = rest > 0.5 || (rest === 0.5 && lower % 2 === 1) ? lower + 1 : lower;
    return sign + Math.min((exponent + bias - 1) * 2 ** mantissaBits + rounded, infinity);
  };
}

/** The bits of the float16 nearest to a number. */
export const toFloat16 = ieeeEncoder(10, 15);
/** The bits of the bfloat16 nearest to a number. */
export const toBFloat16 = ieeeEncoder(7, 127);
