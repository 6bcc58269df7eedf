/** The workloads of every benchmark: name, channels, ffMult, tokens, leading dimensions, height, width. */
export const WORKLOADS = [
  { name: 'doc-1', dim: 64, ffMult: 2, tokens: 8, leading: [1], height: 32, width: 32 },
  { name: 'doc-2', dim: 128, ffMult: 4, tokens: 16, leading: [2], height: 64, width: 64 },
  { name: 'zeta-test', dim: 256, ffMult: 2, tokens: 8, leading: [1], height: 10, width: 10 },
  { name: 'rt1-step', dim: 512, ffMult: 2, tokens: 8, leading: [1, 6], height: 9, width: 9 },
  { name: 'rt1-batch', dim: 512, ffMult: 2, tokens: 8, leading: [8, 6], height: 9, width: 9 },
  { name: 'lucid', dim: 768, ffMult: 2, tokens: 8, leading: [2, 6], height: 7, width: 7 },
  { name: 'vit-b', dim: 768, ffMult: 2, tokens: 16, leading: [32], height: 14, width: 14 },
  { name: 'vit-l', dim: 1024, ffMult: 2, tokens: 16, leading: [1], height: 32, width: 32 },
  { name: 'cifar', dim: 128, ffMult: 2, tokens: 4, leading: [256], height: 8, width: 8 },
];

/** Floating-point operations of the first product, the bulk of the work. */
export function firstProductFlops({ dim, ffMult, tokens, leading, height, width }) {
  const pixels = leading.reduce((product, size) => product * size, 1) * height * width;
  return 2 * tokens * ffMult * dim * dim * pixels;
}
