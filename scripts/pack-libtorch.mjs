/**
 * Builds the optional package with the CPU libtorch of this platform, out of the pinned wheel:
 * build/packages/tokenlearner-libtorch-cpu-<platform>-<arch>-<version>.tgz. Needs dist/.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureTypeScript } from './build-ts.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { packFolder, packagesFolder } from './npm-pack.mjs';
import {
  hashInputs,
  here,
  isFresh,
  isMain,
  main,
  markFresh,
  markStale,
  root,
  say,
  SetupError,
} from './tools.mjs';

const template = path.join(root, 'packages', 'libtorch-cpu');

/** The package's name and version, for the main package to depend on; its version is libtorch's. */
export function libtorchPackage(target = here) {
  const { manifest, manifestEntry, entryVersion } = compiled('manifest');
  const { name } = JSON.parse(readFileSync(path.join(template, 'package.json'), 'utf8'));
  const entry = manifestEntry('cpu', target);
  return { name: name.replace('linux-x64', target), version: entryVersion(entry, manifest), entry };
}

/** Returns the path of the packed file. Does nothing when it is up to date: packing takes a minute. */
export async function packLibtorch() {
  ensureDependencies();
  await ensureTypeScript();
  const { name, version, entry } = libtorchPackage();
  if (entry.archive === null) {
    throw new SetupError(`No hash of libtorch ${version} for ${here} is pinned, so it cannot be packed`);
  }
  const file = path.join(packagesFolder, `${name.slice(1).replace('/', '-')}-${version}.tgz`);
  const inputs = hashInputs(['packages/libtorch-cpu', 'scripts/pack-libtorch.mjs'], {
    entry,
    publisher: publisher(),
  });
  if (isFresh('pack-libtorch', inputs) && statSync(file, { throwIfNoEntry: false })) return file;
  markStale('pack-libtorch');
  const folder = path.join(packagesFolder, 'libtorch');
  rmSync(folder, { recursive: true, force: true });
  await fill(folder, { name, version, entry });
  const packed = packFolder(folder);
  rmSync(folder, { recursive: true, force: true });
  markFresh('pack-libtorch', inputs);
  return packed;
}

async function fill(folder, { name, version, entry }) {
  cpSync(template, folder, { recursive: true });
  const files = await unpack(folder, entry);
  const [platform, arch] = here.split('-');
  const record = { version, variant: 'cpu', platform, arch, wheelSha256: entry.archive.sha256, files };
  writeFileSync(path.join(folder, 'runtime.json'), `${JSON.stringify(record, null, 2)}\n`);
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  Object.assign(manifest, { name, version, ...publisher(), os: [platform], cpu: [arch] });
  if (platform !== 'linux') delete manifest.libc;
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The fields of the main package.json that the package has too. */
function publisher() {
  const { author, homepage, repository, bugs } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  );
  return { author, homepage, repository, bugs };
}

/** The wheel's libraries and licences; relative path -> bytes. */
async function unpack(folder, entry) {
  const { obtainArchive } = compiled('obtain');
  const { pipDownload } = compiled('pip');
  const { fileSha256 } = compiled('file-hash');
  const { destination, unpackLibtorch } = compiled('unpack');
  const { thisHost } = compiled('cache');
  const downloads = path.join(packagesFolder, 'download');
  mkdirSync(downloads, { recursive: true });
  const what = { host: thisHost(), entry, title: here, folder: downloads, pip: pipDownload, log: say };
  const wheel = await obtainArchive(what);
  if ((await fileSha256(wheel)) !== entry.archive.sha256) {
    throw new SetupError(`${path.basename(wheel)} is not the pinned file, so it is not packed`);
  }
  const layout = (name) => {
    const place = destination(name);
    return /^(?:lib|licenses)\//.test(place ?? '') ? place : null;
  };
  const files = await unpackLibtorch(wheel, folder, undefined, layout);
  rmSync(downloads, { recursive: true, force: true });
  if (!readdirSync(path.join(folder, 'licenses')).includes('LICENSE')) {
    throw new SetupError('The wheel has no licence where one is expected');
  }
  return files;
}

function compiled(name) {
  return createRequire(import.meta.url)(path.join(root, 'dist', 'libtorch', `${name}.js`));
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const file = await packLibtorch();
    say(`${file}: ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  });
}
