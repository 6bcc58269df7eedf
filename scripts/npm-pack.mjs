/** Runs npm, and packs folders with it without running their scripts. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { npmCommand, root, run, say, SetupError } from './tools.mjs';

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

/**
 * Puts a package's files into a folder that does not exist yet, without installing it: all, or the member of its archive. `name` has the
 * exact version. The folder appears complete or not at all.
 */
export function fetchPackage(name, folder, { member = 'package', integrity } = {}) {
  say(`Fetching ${name}`);
  const fresh = `${folder}-${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  try {
    const { status, stderr } = npm(['pack', '--ignore-scripts', '--pack-destination', fresh, name]);
    if (status !== 0) throw new SetupError(`${name} cannot be fetched:\n${stderr}`);
    const archive = path.join(fresh, readdirSync(fresh)[0]);
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (integrity !== undefined && found !== integrity) {
      throw new SetupError(`Expected ${integrity} for ${name} but received ${found}`);
    }
    run('tar', ['-xzf', archive, '-C', fresh, '--strip-components=1', member]);
    rmSync(archive);
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Runs npm and returns its output. */
export function npm(args, options = {}) {
  const { command, first, shell } = npmCommand();
  return spawnSync(command, [...first, ...args], { encoding: 'utf8', shell, maxBuffer: 1 << 26, ...options });
}
