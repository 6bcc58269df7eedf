/** Removes everything that the scripts made. The cache of the user, with libtorch in it, stays. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { root } from './tools.mjs';

for (const name of ['dist', 'build', 'prebuilds', 'coverage', path.join('docs', 'api'), 'demo-output']) {
  rmSync(path.join(root, name), { recursive: true, force: true });
}
