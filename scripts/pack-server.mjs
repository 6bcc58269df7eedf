/** Packs packages/server: build/packages/tokenlearner-server-<version>.tgz. Needs its dist/. */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packFolder, packagesFolder } from './npm-pack.mjs';
import { root, SetupError } from './tools.mjs';

const source = path.join(root, 'packages', 'server');

/** Returns the path of the packed file. */
export function packServer() {
  const folder = path.join(packagesFolder, 'server');
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['dist', 'proto', 'README.md', 'LICENSE']) {
    const from = path.join(source, name);
    if (!existsSync(from)) throw new SetupError(`${from} is missing`);
    cpSync(from, path.join(folder, name), { recursive: true });
  }
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(publishedManifest(), null, 2)}\n`);
  const file = packFolder(folder);
  rmSync(folder, { recursive: true, force: true });
  return file;
}

/**
 * Without development dependencies, and with the main package of the same version as a peer. In the checkout that is a link, since npm would
 * look for a peer in the registry.
 */
function publishedManifest() {
  const own = JSON.parse(readFileSync(path.join(source, 'package.json'), 'utf8'));
  delete own.devDependencies;
  const main = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  if (own.version !== main.version)
    throw new SetupError(`packages/server has version ${own.version}, and the main package ${main.version}`);
  const { author, homepage, repository, bugs } = main;
  const peerDependencies = { [main.name]: main.version };
  return { ...own, author, homepage, repository, bugs, peerDependencies };
}
