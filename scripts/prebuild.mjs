/**
 * `npm run prebuild`: prebuilds/<platform>-<arch>/ for node-gyp-build, through prebuildify; checked.
 *
 * The name says glibc, so that node-gyp-build finds nothing on musl, rather than a binary that does not load.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { demandFit } from './check-binary.mjs';
import { setup } from './setup.mjs';
import { isMain, main, root, runPackage } from './tools.mjs';

/** Returns the folder of this platform's binary. */
export async function prebuild() {
  await setup();
  const folder = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  rmSync(folder, { recursive: true, force: true });
  const file = path.join(root, 'scripts', 'node-gyp-shim.mjs');
  // prebuildify starts it through a shell on Windows, and by its first line elsewhere.
  const shim = process.platform === 'win32' ? `node "${file}"` : file;
  const libc = process.platform === 'linux' ? ['--tag-libc'] : [];
  runPackage('prebuildify/bin.js', ['--napi', '--strip', ...libc, '--node-gyp', shim]);
  demandFit(readdirSync(folder).map((name) => path.join(folder, name)));
  return folder;
}

if (isMain(import.meta.url)) await main(prebuild);
