/**
 * What the other scripts share. Nothing here or in any script that runs before the packages are installed imports a package.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Where the scripts note what they made from what; never packed. */
const stampFolder = path.join(root, 'build', 'stamps');

/** A failure whose message is all that a person needs: no stack. */
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

/** What a program prints; null when it is missing or fails. */
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

/** One hash over the names and contents of files, and over whatever else decides the result. */
export function hashInputs(names, rest = {}) {
  const hash = createHash('sha256').update(JSON.stringify(rest));
  for (const name of listFiles(names)) {
    const content = readFileSync(path.join(root, name));
    hash.update(`\0${name}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Whether `name` was last made from just these inputs. */
export function isFresh(name, inputs) {
  const file = path.join(stampFolder, name);
  return existsSync(file) && readFileSync(file, 'utf8') === inputs;
}

export function markFresh(name, inputs) {
  mkdirSync(stampFolder, { recursive: true });
  writeFileSync(path.join(stampFolder, name), inputs);
}

/** Versions of packages as package-lock.json has them. */
export function lockedVersions(names) {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  return Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`]?.version]));
}

/** The value of `--name value` or `--name=value` among the arguments. */
export function argument(name, args = process.argv.slice(2)) {
  const at = args.findIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  if (at < 0) return undefined;
  const value = args[at].includes('=') ? args[at].slice(name.length + 3) : args[at + 1];
  if (!value || value.startsWith('--')) throw new SetupError(`--${name} needs a value`);
  return value;
}

/** Whether a script was started itself, rather than imported. */
export function isMain(url) {
  return process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(url);
}

/** Runs a script's work; a failure that is not a defect is told without a stack. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    const expected = error instanceof SetupError || error?.name === 'TokenLearnerError';
    say(expected ? `\nerror: ${error.message}` : (error?.stack ?? String(error)));
    process.exitCode = 1;
  }
}
