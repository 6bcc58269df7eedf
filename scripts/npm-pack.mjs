/** Packs folders as npm does, without any script of theirs. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { root, SetupError } from './tools.mjs';

/** Where packed files come to lie. */
export const packagesFolder = path.join(root, 'build', 'packages');

/** Packs a folder into {@link packagesFolder}. Returns the path of the file. */
export function packFolder(folder) {
  mkdirSync(packagesFolder, { recursive: true });
  const { status, stdout, stderr } = npm([
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    packagesFolder,
    folder,
  ]);
  if (status !== 0) throw new SetupError(`npm pack failed:\n${stderr}`);
  const report = JSON.parse(stdout);
  const { filename } = Array.isArray(report) ? report[0] : Object.values(report)[0];
  return path.join(packagesFolder, filename.replace(/^@/, '').replace('/', '-'));
}

/** Runs npm. Inside `npm run`, npm tells where it is itself; this needs no shell on Windows. */
export function npm(args) {
  const own = process.env.npm_execpath;
  const [command, ...first] = own?.endsWith('.js') && existsSync(own) ? [process.execPath, own] : ['npm'];
  const shell = command === 'npm' && process.platform === 'win32';
  return spawnSync(command, [...first, ...args], { encoding: 'utf8', shell, maxBuffer: 1 << 26 });
}
