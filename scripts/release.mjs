/**
 * All steps of a release except publishing: checks, packs, tests the packed packages, writes their hashes and the bill of
 * materials to build/packages, and prints the commands that publish them.
 *
 *     node scripts/release.mjs                   the version that package.json states
 *     node scripts/release.mjs --version 0.2.0   sets it first, in package.json, CHANGELOG.md and deploy/, and stops for a commit
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { billOfMaterials, hasCudaKernels } from './licences.mjs';
import { packagesFolder } from './npm-pack.mjs';
import { pack } from './pack.mjs';
import { libtorchPackage } from './pack-libtorch.mjs';
import {
  commandLine,
  compareVersions,
  isMain,
  main,
  output,
  root,
  run,
  runNpm,
  say,
  SetupError,
} from './tools.mjs';

/** The files that name the version of packages or images. */
const DEPLOYED = [
  'docker/Dockerfile',
  'docker/Dockerfile.cuda',
  'kubernetes/kustomization.yaml',
  'kubernetes-gpu/kustomization.yaml',
  'kserve/runtime.yaml',
].map((name) => path.join(root, 'deploy', name));

const changelog = path.join(root, 'CHANGELOG.md');
const VERSION = /^(\d+)\.(\d+)\.(\d+)(?:-[\w.]+)?$/;

function readManifest() {
  return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
}

/** The text of one version in a changelog; null when it has none. */
export function changesOf(text, version) {
  const sections = text.split(/^## /m).slice(1);
  const section = sections.find((each) => each.startsWith(`[${version}]`));
  const body = section?.slice(section.indexOf('\n')).trim();
  return body === undefined || body === '' ? null : body;
}

/** Turns what is unreleased into a version, and leaves an empty place for what comes next. */
export function cutVersion(text, version, date) {
  if (changesOf(text, 'Unreleased') === null)
    throw new SetupError('CHANGELOG.md has nothing under [Unreleased]');
  if (text.includes(`## [${version}]`)) throw new SetupError(`CHANGELOG.md has ${version} already`);
  return text.replace('## [Unreleased]', `## [Unreleased]\n\n## [${version}] - ${date}`);
}

function setVersion(version) {
  const current = readManifest().version;
  if (!VERSION.test(version))
    throw new SetupError(`Expected a version such as 1.2.3 but received ${version}`);
  if (compareVersions(version, current) <= 0)
    throw new SetupError(`${version} does not come after ${current}`);
  const text = cutVersion(readFileSync(changelog, 'utf8'), version, new Date().toISOString().slice(0, 10));
  runNpm(['version', '--no-git-tag-version', '--workspaces', '--include-workspace-root', version]);
  writeFileSync(changelog, text);
  for (const file of DEPLOYED) writeFileSync(file, readFileSync(file, 'utf8').replaceAll(current, version));
  say(
    `Set to ${version}. Commit package.json, packages/server/package.json, package-lock.json, deploy/ and CHANGELOG.md, then run it again without --version.`,
  );
}

/** Marks the fields of package.json that a maintainer fills in before the first release. */
const PLACEHOLDER = 'YOUR-ORGANISATION';

/** The fields of a package.json that still hold the placeholder. */
export function unfilledFields(manifest) {
  return Object.keys(manifest).filter((key) => JSON.stringify(manifest[key]).includes(PLACEHOLDER));
}

function checkState(version) {
  const unfilled = unfilledFields(readManifest());
  if (unfilled.length > 0) {
    throw new SetupError(`package.json still names ${PLACEHOLDER} in: ${unfilled.join(', ')}`);
  }
  if (output('git', ['status', '--porcelain']) !== '')
    throw new SetupError('There are changes that are not committed');
  if (changesOf(readFileSync(changelog, 'utf8'), version) === null) {
    throw new SetupError(`CHANGELOG.md has no section [${version}]: set it with --version`);
  }
  if (output('git', ['tag', '--list', `v${version}`]) !== '')
    throw new SetupError(`v${version} is tagged already`);
}

function hashFile(file) {
  return { name: path.basename(file), sha256: createHash('sha256').update(readFileSync(file)).digest('hex') };
}

function writeRecords(version, packed) {
  const files = Object.values(packed).map(hashFile);
  const sums = files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('');
  writeFileSync(path.join(packagesFolder, 'SHA256SUMS'), sums);
  const { entry, version: libtorch } = libtorchPackage();
  const cuda = hasCudaKernels(path.join(root, 'prebuilds'));
  const { sha256 } = entry.archive;
  const bill = billOfMaterials({
    name: 'tokenlearner',
    files,
    cuda,
    libtorch: { version: libtorch, sha256 },
  });
  writeFileSync(path.join(packagesFolder, 'tokenlearner.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`);
}

async function release() {
  const { version } = readManifest();
  checkState(version);
  const node = (script, ...args) => run(process.execPath, [path.join(root, 'scripts', script), ...args]);
  node('test.mjs');
  node('lint.mjs');
  node('check-layers.mjs');
  const packed = await pack({ all: true });
  node('test.mjs', 'test/packaging');
  node('arm64.mjs');
  node('check-cuda-libtorch.mjs');
  writeRecords(version, packed);
  const { main: own, libtorch, server } = packed;
  say(
    `\n${version} is ready in ${packagesFolder}: three packages, SHA256SUMS, tokenlearner.cdx.json. To publish it:`,
  );
  say(`  git tag v${version} && git push origin v${version}`);
  say(
    `  npm publish --access public --provenance ${libtorch}   # unless this version of libtorch is there already`,
  );
  say(`  npm publish --provenance ${own}`);
  say(`  npm publish --access public --provenance ${server}`);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    // Fails early, with a clear message, where the packages are not installed.
    createRequire(import.meta.url)('node-gyp-build');
    const { version } = commandLine({ version: { type: 'string' } }).values;
    await (version === undefined ? release() : setVersion(version));
  });
}
