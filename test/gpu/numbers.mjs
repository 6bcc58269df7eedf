/** What the checks measure. */

/** The error of results relative to their norm, or absolute if that is 0. */
export function relativeError(actual, exact) {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < exact.length; i++) {
    difference += (actual[i] - exact[i]) ** 2;
    norm += exact[i] ** 2;
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
}

export const sameBits = (a, b) => a.length === b.length && a.every((value, i) => Object.is(value, b[i]));

/** A tensor's numbers in float64, from any device. */
export const numbers = (tensor) => tensor.to('cpu').to('float64').data;
