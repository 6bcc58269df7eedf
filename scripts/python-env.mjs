/**
 * Makes .venv, the Python environment of the tools that requirements-dev.txt pins, once:
 *
 *     node scripts/python-env.mjs [requirements.txt ...]
 *
 * Without arguments it installs requirements-dev.txt.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  hashInputs,
  isFresh,
  isMain,
  main,
  markFresh,
  output,
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

/** Installs a requirements file into the environment, if that is not done yet. */
export function ensurePython(requirements = 'requirements-dev.txt') {
  const stamp = `python-${path.basename(requirements, '.txt')}`;
  const inputs = hashInputs([requirements]);
  if (existsSync(pythonProgram('python')) && isFresh(stamp, inputs)) return;
  const python = process.platform === 'win32' ? 'python' : 'python3';
  if (output(python, ['-c', 'import venv, ensurepip']) === null) {
    throw new SetupError(
      `${python} with its venv module is missing. On Debian and Ubuntu: apt-get install python3 python3-venv`,
    );
  }
  say(`Installing ${requirements} into .venv`);
  if (!existsSync(pythonProgram('python'))) run(python, ['-m', 'venv', folder]);
  run(pythonProgram('python'), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--retries',
    '2',
    '--requirement',
    requirements,
  ]);
  markFresh(stamp, inputs);
}

if (isMain(import.meta.url)) {
  await main(() => {
    const files = process.argv.slice(2);
    for (const file of files.length > 0 ? files : ['requirements-dev.txt']) ensurePython(file);
  });
}
