/**
 * `npm run test:musl`: cross-builds the addon and the C++ tests for musl (Alpine) on x64, runs the tests of the CPU, and runs a smoke test
 * of the packed files in a host that musl's own loader starts.
 *
 *     node scripts/musl.mjs [--smoke]
 *
 * --smoke leaves the C++ tests out. They are linked statically with musl, as zig links programs. npm has no Node for musl, so the host
 * is Bun, which is linked with musl and loads addons through Node-API. Needs Debian's package musl: /lib/ld-musl-x86_64.so.1. Bun also needs a
 * libstdc++ for musl, which Debian does not have: it gets this machine's own, and musl-host.c for what that needs of glibc. Not a part of
 * .ci/run: the first build takes some five minutes of CPU time, and with --smoke some two.
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fetchPackage } from './npm-pack.mjs';
import { expectedIsa, nativeTests, smokeTest } from './smoke.mjs';
import { commandLine, main, output, root, run, SetupError } from './tools.mjs';

const PLATFORM = 'linux-x64-musl';
const LOADER = '/lib/ld-musl-x86_64.so.1';
const BUN = '@oven/bun-linux-x64-musl-baseline@1.4.5';
const cache = path.join(root, '.cache', 'musl-host');
const libraries = path.join(root, 'build', PLATFORM, 'host');

/** Bun's program. */
function ensureBun() {
  const folder = path.join(cache, BUN.slice(BUN.lastIndexOf('@') + 1));
  if (!existsSync(folder)) fetchPackage(BUN, folder);
  return path.join(folder, 'bin', 'bun');
}

/** The libraries that Bun needs, in one folder. */
function collectLibraries() {
  mkdirSync(libraries, { recursive: true });
  for (const name of ['libstdc++.so.6', 'libgcc_s.so.1']) {
    const file = output('c++', [`-print-file-name=${name}`]);
    if (file === null || !path.isAbsolute(file)) throw new SetupError(`The compiler has no ${name}`);
    copyFileSync(file, path.join(libraries, name));
  }
  const loader = 'ld-linux-x86-64.so.2';
  const source = path.join(root, 'scripts', 'musl-host.c');
  const options = ['-D_GNU_SOURCE', '-O1', '-fPIC', '-shared', '-nostdlib', `-Wl,-soname,${loader}`];
  run('cc', [...options, source, '-o', path.join(libraries, loader)]);
}

await main(async () => {
  const { smoke } = commandLine({ smoke: { type: 'boolean', default: false } }).values;
  if (!existsSync(LOADER)) {
    throw new SetupError(`${LOADER} is missing. On Debian and Ubuntu: apt-get install musl`);
  }
  if (!smoke) await nativeTests(PLATFORM);
  const host = [ensureBun()];
  collectLibraries();
  await smokeTest(PLATFORM, { host, isa: expectedIsa(), env: { LD_LIBRARY_PATH: libraries } });
});
