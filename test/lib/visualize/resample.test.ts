import { resample } from '../../../lib/visualize/resample';
import { bilinear } from './support';

const noise = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) * 3);

test.each([
  [1, 1, 5, 7],
  [2, 3, 9, 11],
  [7, 9, 64, 50],
  [14, 14, 256, 256],
  [5, 5, 5, 5],
  [3, 8, 3, 100],
])('%d x %d to %d x %d is bilinear interpolation', (height, width, toHeight, toWidth) => {
  const map = noise(height * width);
  const result = resample({ data: map, width, height }, toWidth, toHeight);
  let worst = 0;
  for (let row = 0; row < toHeight; row++) {
    for (let column = 0; column < toWidth; column++) {
      const expected = bilinear(map, [height, width], [toHeight, toWidth], [row, column]);
      worst = Math.max(worst, Math.abs((result[row * toWidth + column] ?? NaN) - expected));
    }
  }
  expect(worst).toBeLessThan(1e-5);
});

test('a smaller target weights all values: nothing is skipped', () => {
  // The weights of torch.nn.functional.interpolate(torch.tensor([[[0, 0, 6, 0, 0, 0.]]]), 2, mode='linear', antialias=True) in 2-D.
  const data = Float32Array.from([0, 0, 6, 0, 0, 0]);
  const [left = 0, right = 0] = resample({ data, width: 6, height: 1 }, 2, 1);
  // Triangles of half-width 3 around 1 and 4: the third value has 2/3 of 8/3 in the first, and 1/3 of 8/3 in the second.
  expect(left).toBeCloseTo(6 * (2 / 3 / (8 / 3)), 5);
  expect(right).toBeCloseTo(6 * (1 / 3 / (8 / 3)), 5);
});

test('a constant map stays constant in any size', () => {
  const data = new Float32Array(35).fill(0.25);
  for (const [width, height] of [
    [3, 2],
    [100, 1],
    [8, 90],
  ] as const)
    expect(
      resample({ data, width: 7, height: 5 }, width, height).every((v) => Math.abs(v - 0.25) < 1e-6),
    ).toBe(true);
});
