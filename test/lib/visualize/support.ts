import { type AttentionModel, type RawImage, Tensor } from '../../../lib';

/** A model that gives these maps, (..., G, H, W), for any input. */
export function fakeModel(maps: number[], shape: number[]): AttentionModel & { inputs: Tensor[] } {
  const inputs: Tensor[] = [];
  return {
    inputs,
    forward(input: Tensor, options: unknown) {
      inputs.push(input.clone());
      expect(options).toMatchObject({ returnAttention: true });
      return Promise.resolve({ tokens: undefined, attention: Tensor.from(maps, shape) });
    },
  };
}

/** Bilinear interpolation at one pixel, with clamped edges: torch.nn.functional.interpolate(align_corners=False). */
export function bilinear(
  map: ArrayLike<number>,
  [height, width]: readonly [number, number],
  [toHeight, toWidth]: readonly [number, number],
  [row, column]: readonly [number, number],
): number {
  const y = Math.min(Math.max(((row + 0.5) * height) / toHeight - 0.5, 0), height - 1);
  const x = Math.min(Math.max(((column + 0.5) * width) / toWidth - 0.5, 0), width - 1);
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const at = (j: number, i: number): number =>
    map[Math.min(j, height - 1) * width + Math.min(i, width - 1)] ?? NaN;
  const [v, u] = [y - top, x - left];
  return (
    (at(top, left) * (1 - u) + at(top, left + 1) * u) * (1 - v) +
    (at(top + 1, left) * (1 - u) + at(top + 1, left + 1) * u) * v
  );
}

/** The RGBA of a pixel. */
export function pixel({ data, width }: { data: Uint8Array; width: number }, x: number, y: number): number[] {
  return [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)];
}

/** A picture with colours that differ everywhere. */
export function gradient(width: number, height: number): Required<RawImage> {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return [(255 * x) / width, (255 * y) / height, 255 - (255 * x) / width][i % 3] ?? 0;
  });
  return { data, width, height, channels: 3 };
}
