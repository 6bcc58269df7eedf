/**
 * The error of a bundle that contains this package. index.ts imports it first, and it imports no module of Node: in an ESM bundle of
 * CommonJS code, `require` and `__dirname` do not exist.
 */
import { TokenLearnerError } from './errors';

/** The message of ERR_BUNDLED; scripts/build-esm.mjs writes it into the ESM entry. */
export const BUNDLED_MESSAGE = `A bundle contains the package tokenlearner, whose native addon cannot be part of a bundle. \
Mark 'tokenlearner' as external, and install it where the bundle runs:
  esbuild: --external:tokenlearner
  bun: bun build --external tokenlearner
  webpack: externals: { tokenlearner: 'node-commonjs tokenlearner' }
  rollup, rolldown: external: ['tokenlearner']
  vite (SSR): ssr: { external: ['tokenlearner'] }
  ncc: --external tokenlearner
  Next.js: serverExternalPackages: ['tokenlearner']
docs/deployment.md has an example of each.`;

export function bundledError(): TokenLearnerError {
  return new TokenLearnerError('ERR_BUNDLED', BUNDLED_MESSAGE);
}

if (typeof __dirname === 'undefined') throw bundledError();
