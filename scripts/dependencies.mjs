/** Installs the npm packages that package-lock.json names, when they are not there already. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isMain, main, root, run, say, SetupError } from './tools.mjs';

/** undici, which fetches libtorch, needs it. */
const MINIMUM_NODE = [20, 18, 1];

export function ensureDependencies() {
  checkNode();
  if (isInstalled()) return;
  say('Installing npm packages');
  // Not `npm ci`: it refuses a lock file that does not name the binaries of every other platform, also where the
  // registry in use has none of them. This installs what the lock file names, and leaves that file as it is.
  const args = ['install', '--no-save', '--no-audit', '--no-fund'];
  // Inside `npm run`, npm tells where it is itself; this needs no shell on Windows.
  const npm = process.env.npm_execpath;
  if (npm?.endsWith('.js') && existsSync(npm)) run(process.execPath, [npm, ...args]);
  else run('npm', args, { shell: process.platform === 'win32' });
}

function checkNode() {
  const version = process.versions.node.split('.').map(Number);
  const difference = MINIMUM_NODE.map((number, i) => version[i] - number).find((each) => each !== 0) ?? 0;
  if (difference < 0) {
    throw new SetupError(
      `Node ${MINIMUM_NODE.join('.')} or later is needed, this is ${process.versions.node}`,
    );
  }
}

/**
 * npm keeps what it installed in node_modules/.package-lock.json. Comparing contents rather than times keeps a fresh
 * clone or a touched file from installing everything again.
 */
function isInstalled() {
  const wanted = readLock('package-lock.json');
  const installed = readLock(path.join('node_modules', '.package-lock.json'));
  if (wanted === null) throw new SetupError('package-lock.json is missing');
  if (installed === null) return false;
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === '' || entry.optional || entry.devOptional) return true;
    return installed[name]?.version === entry.version && installed[name]?.integrity === entry.integrity;
  });
}

function readLock(file) {
  const full = path.join(root, file);
  return existsSync(full) ? JSON.parse(readFileSync(full, 'utf8')).packages : null;
}

if (isMain(import.meta.url)) await main(ensureDependencies);
