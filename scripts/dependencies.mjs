/** Installs the npm packages that package-lock.json names, unless they are installed already. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  compareVersions,
  isMain,
  libc,
  main,
  readRequirements,
  root,
  runNpm,
  say,
  SetupError,
} from './tools.mjs';

export function ensureDependencies() {
  checkNode();
  if (isInstalled()) return;
  say('Installing npm packages');
  // Not `npm ci`: it refuses a lock file that does not name the binaries of every other platform, also where the
  // registry in use has none of them. This installs what the lock file names, and leaves that file as it is.
  // NODE_ENV=production and `omit` in a user's .npmrc would leave out the build's tools, or their binaries.
  runNpm(['install', '--include=dev', '--include=optional', '--no-save', '--no-audit', '--no-fund']);
}

function checkNode() {
  const { node } = readRequirements();
  if (compareVersions(process.versions.node, node) >= 0) return;
  throw new SetupError(`Node ${node} or later is needed, this is ${process.versions.node}`);
}

/**
 * npm lists the installed packages in node_modules/.package-lock.json. Comparing contents rather than times keeps a fresh
 * clone or a touched file from installing everything again.
 */
function isInstalled() {
  const wanted = readLock('package-lock.json');
  const installed = readLock(path.join('node_modules', '.package-lock.json'));
  if (wanted === null) throw new SetupError('package-lock.json is missing');
  if (installed === null) return false;
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === '' || !isNeeded(entry)) return true;
    return installed[name]?.version === entry.version && installed[name]?.integrity === entry.integrity;
  });
}

/** Of the optional packages, those for this platform alone: binaries. npm leaves out the others, and some of those for any platform. */
function isNeeded({ optional, devOptional, os, cpu, libc: libraries }) {
  if (!optional && !devOptional) return true;
  if (os === undefined && cpu === undefined) return false;
  const suits = (names, own) => names === undefined || names.includes(own);
  return suits(os, process.platform) && suits(cpu, process.arch) && suits(libraries, libc());
}

function readLock(file) {
  const full = path.join(root, file);
  return existsSync(full) ? JSON.parse(readFileSync(full, 'utf8')).packages : null;
}

if (isMain(import.meta.url)) await main(ensureDependencies);
