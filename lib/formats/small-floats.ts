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
