/**
 * Makes .venv, the Python environment of the tools that requirements-dev.txt pins, once:
 *
 *     node scripts/python-env.mjs [requirements.txt ...]
 *
 * Without arguments it installs requirements-dev.txt.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import {
  hashInputs,
  isFresh,
  isMain,
  main,
  markFresh,
  markStale,
  root,
  run,
  say,
  SetupError,
} from './tools.mjs';

const folder = path.join(root, '.venv');
const programs = path.join(folder, process.platform === 'win32' ? 'Scripts' : 'bin');

/** The absolute path of a program in the environment. */
export function pythonProgram(name) {
  return path.join(programs, process.platform === 'win32' ? `${name}.exe` : name);
}

/**
 * The absolute path of the system's Python; null where there is none. It skips entries of PATH that are not absolute, which mean the
 * working directory, and those in a node_modules, which belong to packages.
 */
export function systemPython() {
  const name = process.platform === 'win32' ? 'python.exe' : 'python3';
  const folders = (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder) && !folder.split(/[\\/]/).includes('node_modules'));
  return folders.map((folder) => path.join(folder, name)).find(isProgram) ?? null;
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Isolated mode and the program's own folder: no module of the working directory runs. */
const isolated = (program, args) => [program, ['-I', ...args], { cwd: path.dirname(program) }];

/** Runs a Python with its output shown. Paths among the arguments must be absolute. Throws unless it succeeds. */
export function runPython(program, args) {
  run(...isolated(program, args));
}

/** Runs a Python without its output; true when it succeeds. */
export function pythonSucceeds(program, args) {
  if (program === null) return false;
  const [command, all, options] = isolated(program, args);
  return spawnSync(command, all, { ...options, stdio: 'ignore' }).status === 0;
}

/** Installs a requirements file into the environment, if that is not done yet. */
export function ensurePython(requirements = 'requirements-dev.txt') {
  const stamp = `python-${path.basename(requirements, '.txt')}`;
  const inputs = hashInputs([requirements]);
  if (existsSync(pythonProgram('python')) && isFresh(stamp, inputs)) return;
  const python = systemPython();
  if (!pythonSucceeds(python, ['-c', 'import venv, ensurepip'])) {
    throw new SetupError(
      `${python ?? 'Python 3'} with its venv module is missing. On Debian and Ubuntu: apt-get install python3 python3-venv`,
    );
  }
  say(`Installing ${requirements} into .venv`);
  markStale(stamp);
  if (!existsSync(pythonProgram('python'))) runPython(python, ['-m', 'venv', folder]);
  runPython(pythonProgram('python'), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--retries',
    '2',
    '--requirement',
    path.resolve(root, requirements),
  ]);
  markFresh(stamp, inputs);
}

if (isMain(import.meta.url)) {
  await main(() => {
    const files = process.argv.slice(2);
    for (const file of files.length > 0 ? files : ['requirements-dev.txt']) ensurePython(file);
  });
}
