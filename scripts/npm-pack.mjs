/** Runs npm, and packs folders with it without running their scripts. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { npmCommand, root, SetupError } from './tools.mjs';

/** The folder of the packed files. */
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

/** Runs npm and returns its output. */
export function npm(args, options = {}) {
  const { command, first, shell } = npmCommand();
  return spawnSync(command, [...first, ...args], { encoding: 'utf8', shell, maxBuffer: 1 << 26, ...options });
}
