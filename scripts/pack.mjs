/**
 * `npm run pack`: build/packages/tokenlearner-<version>.tgz, ready to publish, and beside it the package with libtorch and that of the server.
 *
 *     node scripts/pack.mjs [--all] [--prebuilds FOLDER]
 *
 * The package has the binary of this platform, and of each that can be cross-built: where Debian's compiler for it is installed, or zig has
 * built it before. --all demands all of them. A binary that lies in FOLDER, as in prebuilds/, is taken from there: the release builds those
 * for musl on Alpine.
 *
 * The dependency on the latter is added here and not in the checkout: `npm install` in a checkout would look for it in the
 * registry, where a version that has not been published yet is not.
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { demandFit } from './check-binary.mjs';
import { crossPlatforms, isReadyToCross } from './cross.mjs';
import { hasCudaKernels, thirdPartyNotice } from './licences.mjs';
import { packFolder, packagesFolder } from './npm-pack.mjs';
import { libtorchPackage, packLibtorch } from './pack-libtorch.mjs';
import { packServer } from './pack-server.mjs';
import { prebuild, prebuiltFile } from './prebuild.mjs';
import { publishedReadme } from './published-readme.mjs';
import { commandLine, isMain, main, root, runPackage, say, SetupError } from './tools.mjs';

/** Bytes that the packed package may have. */
const LIMIT = 8e6;
const LIMIT_WITH_CUDA = 25e6;

/** The fields of package.json that are published. */
const PUBLISHED = [
  'name',
  'version',
  'description',
  'keywords',
  'license',
  'author',
  'homepage',
  'repository',
  'bugs',
  'type',
  'main',
  'types',
  'exports',
  'bin',
  'gypfile',
  'engines',
  'dependencies',
];

/** Makes prebuilds/, with nothing from an earlier run. */
async function prebuildAll({ all, prebuilds }) {
  rmSync(path.join(root, 'prebuilds'), { recursive: true, force: true });
  await prebuild();
  for (const name of crossPlatforms()) {
    if (takePrebuilt(name, prebuilds)) continue;
    if (all || isReadyToCross(name)) await prebuild(name);
    else say(`${name} is left out of the package: \`npm run prebuild -- --platform ${name}\` makes it.`);
  }
}

/** Takes a platform's binary from a folder of such. False if it has none. */
function takePrebuilt(name, folder) {
  if (folder === undefined) return false;
  const target = prebuiltFile(name);
  const source = path.join(folder, path.relative(path.join(root, 'prebuilds'), target));
  if (!existsSync(source)) return false;
  cpSync(source, target);
  demandFit([target]);
  return true;
}

/** Packs all packages. Returns their paths, {main, libtorch, server}. */
export async function pack({ all = false, prebuilds } = {}) {
  await prebuildAll({ all, prebuilds });
  const libtorch = await packLibtorch();
  const own = packMain();
  check(own);
  const server = packServer();
  check(server);
  return { main: own, libtorch, server };
}

function packMain() {
  const folder = path.join(packagesFolder, 'main');
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['dist', 'prebuilds', 'python/export.py', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
    const source = path.join(root, name);
    if (!existsSync(source)) throw new SetupError(`${name} is missing`);
    cpSync(source, path.join(folder, name), { recursive: true });
  }
  const own = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const readme = path.join(folder, 'README.md');
  writeFileSync(readme, publishedReadme(readFileSync(readme, 'utf8'), own));
  const cuda = hasCudaKernels(path.join(folder, 'prebuilds'));
  writeFileSync(path.join(folder, 'THIRD-PARTY.md'), thirdPartyNotice({ cuda }));
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(publishedManifest(own), null, 2)}\n`);
  const file = packFolder(folder);
  const { size } = statSync(file);
  const limit = cuda ? LIMIT_WITH_CUDA : LIMIT;
  say(
    `${file}: ${(size / 1e6).toFixed(2)} MB of ${limit / 1e6} MB allowed ${cuda ? 'with' : 'without'} CUDA kernels`,
  );
  if (size > limit) throw new SetupError('The package is too large');
  rmSync(folder, { recursive: true, force: true });
  return file;
}

/** No scripts, no development dependencies, and the libtorch packages of the platforms that have one as an option. */
function publishedManifest(own) {
  const platforms = readdirSync(path.join(root, 'prebuilds'));
  const kept = Object.fromEntries(PUBLISHED.flatMap((key) => (key in own ? [[key, own[key]]] : [])));
  const packages = platforms.map(libtorchPackage).filter(({ entry }) => entry.archive !== null);
  const optionalDependencies = Object.fromEntries(packages.map(({ name, version }) => [name, version]));
  return { ...kept, optionalDependencies };
}

/** Checks that ESM, CommonJS and the types are as package.json says. */
function check(file) {
  runPackage('publint/src/cli.js', ['run', file, '--strict']);
  runPackage('@arethetypeswrong/cli/dist/index.js', [file]);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = commandLine({ all: { type: 'boolean' }, prebuilds: { type: 'string' } });
    for (const file of Object.values(await pack(values)))
      say(`${file}: ${(statSync(file).size / 1e6).toFixed(2)} MB`);
  });
}
