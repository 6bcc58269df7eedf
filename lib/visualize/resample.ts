/** Resizes of maps. Pure. */

/** For each target position the first source position that counts, and the weights from there on. */
interface Axis {
  first: Int32Array;
  weights: Float32Array[];
}

/**
 * Bilinear interpolation with pixel centres at halves, as torch.nn.functional.interpolate(mode='bilinear', align_corners=False, antialias=True): a
 * triangle filter, which grows with the step where the target is smaller.
 */
function axis(source: number, target: number): Axis {
  const step = source / target;
  const support = Math.max(step, 1);
  const first = new Int32Array(target);
  const weights = Array.from({ length: target }, (_, i) => {
    const center = (i + 0.5) * step - 0.5;
    const from = Math.max(Math.floor(center - support) + 1, 0);
    const to = Math.min(Math.ceil(center + support) - 1, source - 1);
    first[i] = from;
    const raw = Float64Array.from({ length: to - from + 1 }, (__, k) =>
      Math.max(1 - Math.abs(from + k - center) / support, 0),
    );
    const sum = raw.reduce((total, weight) => total + weight, 0);
    return Float32Array.from(raw, (weight) => weight / sum);
  });
  return { first, weights };
}

export interface Grid {
  /** height * width values, row by row. */
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** A map in another size. */
export function resample(map: Grid, width: number, height: number): Float32Array {
  const columns = axis(map.width, width);
  const narrow = new Float32Array(map.height * width);
  for (let y = 0; y < map.height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * map.width + (columns.first[x] ?? 0);
      narrow[y * width + x] = weighted(map.data, at, 1, columns.weights[x]);
    }
  }
  const rows = axis(map.height, height);
  const result = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const at = (rows.first[y] ?? 0) * width;
    for (let x = 0; x < width; x++) result[y * width + x] = weighted(narrow, at + x, width, rows.weights[y]);
  }
  return result;
}

function weighted(
  data: Float32Array,
  at: number,
  stride: number,
  weights: Float32Array = new Float32Array(),
): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += (data[at + k * stride] ?? 0) * (weights[k] ?? 0);
  return sum;
}
