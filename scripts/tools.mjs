/**
 * Shared by the other scripts. No script that runs before the npm packages are installed may import one, so this file imports none.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** This machine's platform, such as linux-x64. */
export const here = `${process.platform}-${process.arch}`;

/** This machine's C library, as package-lock.json names it: 'glibc' or 'musl' on Linux, null elsewhere. */
export function libc() {
  if (process.platform !== 'linux') return null;
  // Without this the report resolves the names of all network peers.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}

/** The checkout. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** One file per product, with the hash of its inputs; never packed. */
const stampFolder = path.join(root, 'build', 'stamps');

/** An expected failure: the message says it all, so no stack is printed. */
export class SetupError extends Error {}

export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Runs a program in the checkout with its output shown. Throws unless it succeeds. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) throw new SetupError(`${command} cannot be run: ${result.error.message}`);
  if (result.status !== 0) {
    throw new SetupError(
      `${command} ${args.join(' ')} failed (${result.signal ?? `exit code ${result.status}`})`,
    );
  }
}

/** Runs a JavaScript file of a package in node_modules, without a shell. */
export function runPackage(file, args, options) {
  run(process.execPath, [path.join(root, 'node_modules', file), ...args], options);
}

/**
 * npm as {command, first, shell}: the program, its first arguments, and spawn's option. Inside `npm run` the environment names npm's file, which
 * needs no shell on Windows; inside other package managers' `run` it names theirs.
 */
export function npmCommand() {
  const own = process.env.npm_execpath;
  if (own?.endsWith('npm-cli.js') && existsSync(own))
    return { command: process.execPath, first: [own], shell: false };
  return { command: 'npm', first: [], shell: process.platform === 'win32' };
}

/** Runs npm with its output shown. Throws unless it succeeds. */
export function runNpm(args, options = {}) {
  const { command, first, shell } = npmCommand();
  run(command, [...first, ...args], { shell, ...options });
}

/** A program's trimmed stdout; null when it is missing or fails. */
export function output(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return result.status === 0 ? result.stdout.trim() : null;
}

/** Every file under some files and folders of the checkout, sorted; those that do not exist are left out. */
export function listFiles(names) {
  const files = [];
  const visit = (name) => {
    const full = path.join(root, name);
    if (!existsSync(full)) return;
    if (!statSync(full).isDirectory()) files.push(name);
    else for (const child of readdirSync(full)) visit(path.posix.join(name, child));
  };
  for (const name of names) visit(name);
  return files.sort();
}

/** One hash over the names and contents of files, and over everything else that decides the result. */
export function hashInputs(names, rest = {}) {
  const hash = createHash('sha256').update(JSON.stringify(rest));
  for (const name of listFiles(names)) {
    const content = readFileSync(path.join(root, name));
    hash.update(`\0${name}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** True when `name` was last made from exactly these inputs. */
export function isFresh(name, inputs) {
  const file = path.join(stampFolder, name);
  return existsSync(file) && readFileSync(file, 'utf8') === inputs;
}

/** Forgets how `name` was made. Call it before the product changes: what fails or is killed halfway must not count as the last good one. */
export function markStale(name) {
  rmSync(path.join(stampFolder, name), { force: true });
}

export function markFresh(name, inputs) {
  mkdirSync(stampFolder, { recursive: true });
  writeFileSync(path.join(stampFolder, name), inputs);
}

/** The lowest versions that the package supports: node, glibc, ... */
export function readRequirements() {
  return JSON.parse(readFileSync(path.join(root, 'lib', 'requirements.json'), 'utf8'));
}

/** Compares the numbers of two versions such as 2.28 or 1.2.3-rc.1: negative when `a` comes before `b`. */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('-')[0].split('.').map(Number));
  const length = Math.max(left.length, right.length);
  const differences = Array.from({ length }, (_, i) => (left[i] ?? 0) - (right[i] ?? 0));
  return differences.find((difference) => difference !== 0) ?? 0;
}

/**
 * The folders, below the checkout, of the npm packages that the packages in `roots` need when they run, in a parsed package-lock.json. By default
 * that is the package alone, without its workspaces.
 */
export function runtimePackages({ packages }, roots = ['']) {
  const found = new Set();
  const add = (folder) => {
    for (const name of Object.keys(packages[folder].dependencies ?? {})) {
      const needed = dependencyFolder(packages, folder, name);
      if (found.has(needed)) continue;
      found.add(needed);
      add(needed);
    }
  };
  for (const folder of roots) add(folder);
  return [...found].sort();
}

/** Where npm has put a dependency of the package in `folder`: in its own node_modules, or in one above. */
function dependencyFolder(packages, folder, name) {
  for (let above = folder; ; above = above.slice(0, Math.max(above.lastIndexOf('node_modules') - 1, 0))) {
    const place = path.posix.join(above, 'node_modules', name);
    if (packages[place] !== undefined) return place;
    if (above === '') throw new SetupError(`package-lock.json has no ${name} for ${folder}`);
  }
}

/** Versions of packages as package-lock.json has them. */
export function lockedVersions(names) {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  return Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`]?.version]));
}

/** This script's command line by node:util's parseArgs: {values, positionals}. A wrong one is a SetupError. */
export function commandLine(options = {}, { args = process.argv.slice(2), allowPositionals = false } = {}) {
  try {
    return parseArgs({ args, options, allowPositionals });
  } catch (error) {
    throw new SetupError(error.message);
  }
}

/** True when the script was started itself, also through a link; false when it was imported. */
export function isMain(url) {
  const started = process.argv[1];
  return started !== undefined && existsSync(started) && realpathSync(started) === fileURLToPath(url);
}

/** Runs a script's work. An expected failure prints its message without a stack. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    const expected = error instanceof SetupError || error?.name === 'TokenLearnerError';
    say(expected ? `\nerror: ${error.message}` : (error?.stack ?? String(error)));
    process.exitCode = 1;
  }
}
