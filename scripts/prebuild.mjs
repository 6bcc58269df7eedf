/**
 * `npm run prebuild`: prebuilds/<platform>-<arch>/ for node-gyp-build, through prebuildify; checked.
 *
 *     node scripts/prebuild.mjs [--platform linux-arm64|linux-x64-musl|linux-arm64-musl]
 *
 * The file's name says glibc or musl, so that node-gyp-build finds the binary for the C library in use, or nothing rather than one that does
 * not load.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { demandFit } from './check-binary.mjs';
import { checkCross, crossFolder, crossTarget } from './cross.mjs';
import { setup } from './setup.mjs';
import { commandLine, here, isMain, main, root, runPackage } from './tools.mjs';

/** Makes the binary of a platform, by default this one. Returns its path. */
export async function prebuild(name = here) {
  const isCross = name !== here;
  if (isCross) checkCross(name);
  else await setup();
  const file = prebuiltFile(name);
  rmSync(file, { force: true });
  const shim = path.join(root, 'scripts', 'node-gyp-shim.mjs');
  // prebuildify starts it through a shell on Windows, and by its first line elsewhere.
  const nodeGyp = process.platform === 'win32' ? `node "${shim}"` : shim;
  const libc = name.startsWith('linux-') ? ['--tag-libc', '--libc', libcOf(name)] : [];
  const cross = isCross ? crossOptions(name) : [];
  runPackage('prebuildify/bin.js', ['--napi', '--strip', ...libc, ...cross, '--node-gyp', nodeGyp], {
    // For the shim.
    env: { ...process.env, TOKENLEARNER_TARGET: name },
  });
  demandFit([file]);
  return file;
}

/** Alpine's, as prebuildify and node-gyp-build recognise it, or the one that the platform's name ends with. */
function libcOf(name) {
  const isMusl = name === here ? existsSync('/etc/alpine-release') : name.endsWith('-musl');
  return isMusl ? 'musl' : 'glibc';
}

/** The path that prebuildify and node-gyp-build give the binary of a platform. */
export function prebuiltFile(name) {
  const folder = name.split('-').slice(0, 2).join('-');
  const tag = name.startsWith('linux-') ? `.${libcOf(name)}` : '';
  return path.join(root, 'prebuilds', folder, `tokenlearner${tag}.node`);
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
