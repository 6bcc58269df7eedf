/**
 * `npm run prebuild`: prebuilds/<platform>-<arch>/ for node-gyp-build, through prebuildify; checked.
 *
 *     node scripts/prebuild.mjs [--platform linux-arm64]
 *
 * The name says glibc or musl, so that node-gyp-build finds the binary for the C library in use, or nothing rather than one that does
 * not load.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { demandFit } from './check-binary.mjs';
import { checkCross, crossFolder, crossTarget } from './cross.mjs';
import { setup } from './setup.mjs';
import { commandLine, here, isMain, main, root, runPackage } from './tools.mjs';

/** Makes the binary of a platform, by default this one. Returns its folder. */
export async function prebuild(name = here) {
  const isCross = name !== here;
  if (isCross) checkCross(name);
  else await setup();
  const folder = path.join(root, 'prebuilds', name);
  rmSync(folder, { recursive: true, force: true });
  const file = path.join(root, 'scripts', 'node-gyp-shim.mjs');
  // prebuildify starts it through a shell on Windows, and by its first line elsewhere.
  const shim = process.platform === 'win32' ? `node "${file}"` : file;
  const libc = name.startsWith('linux-') ? ['--tag-libc'] : [];
  const cross = isCross ? crossOptions(name) : [];
  runPackage('prebuildify/bin.js', ['--napi', '--strip', ...libc, ...cross, '--node-gyp', shim]);
  demandFit(readdirSync(folder).map((each) => path.join(folder, each)));
  return folder;
}

function crossOptions(name) {
  const [platform, arch] = name.split('-');
  const cwd = crossFolder(name);
  mkdirSync(cwd, { recursive: true });
  const place = ['--cwd', cwd, '--out', root, '--name', 'tokenlearner'];
  return ['--platform', platform, '--arch', arch, ...place, '--strip-bin', crossTarget(name).strip];
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { platform } = commandLine({ platform: { type: 'string' } }).values;
    await prebuild(platform);
  });
}
