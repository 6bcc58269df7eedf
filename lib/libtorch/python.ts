import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { exists } from './access';
import type { Host } from './cache';
import { findPython, ISOLATED, pythonName, type PythonProgram } from './python-program';

/** The folder of Python's torch, or the reason why it was not found. */
export type PythonTorch = { folder: string } | { folder: null; reason: string };

/**
 * find_spec of a top-level name finds the package without importing it. Isolated mode leaves out the packages that pip installs
 * for one user, so they are added back. Their folder is not absolute if the user has no home.
 */
const FIND_TORCH = `
import importlib.util, os, site, sys
user = site.getusersitepackages()
if os.path.isabs(user): sys.path.append(user)
s = importlib.util.find_spec("torch")
if s and s.submodule_search_locations: sys.stdout.buffer.write(os.fsencode(s.submodule_search_locations[0]))
`;

/** Milliseconds that Python may take to answer. */
const PYTHON_TIMEOUT = 5000;

/**
 * Looks for an installed Python `torch`: in the folders of the active virtual and conda environments, and otherwise by asking
 * `python3` where it would import torch from. Imports nothing, and runs no code from the working directory.
 */
export function findPythonTorch(host: Host): PythonTorch {
  for (const prefix of [host.env.VIRTUAL_ENV, host.env.CONDA_PREFIX]) {
    if (!prefix || !path.isAbsolute(prefix)) continue;
    const folder = sitePackages(prefix, host)
      .map((site) => path.join(site, 'torch'))
      .find(exists);
    if (folder !== undefined) return { folder };
  }
  return askPython(host);
}

function sitePackages(prefix: string, host: Host): string[] {
  if (host.platform === 'win32') return [path.join(prefix, 'Lib', 'site-packages')];
  const lib = path.join(prefix, 'lib');
  try {
    return readdirSync(lib)
      .filter((name) => /^python3(\.\d+)?$/.test(name))
      .map((name) => path.join(lib, name, 'site-packages'));
  } catch {
    return [];
  }
}

function askPython(host: Host): PythonTorch {
  const python = findPython(host);
  if (python.program === null) return { folder: null, reason: python.reason };
  const name = pythonName(host.platform);
  const { error, status, stdout } = runFinder(python, host);
  if (error) return { folder: null, reason: `${name} cannot be run: ${error.message}` };
  const folder = stdout.trim();
  if (status !== 0 || folder === '') return { folder: null, reason: `${name} has no module torch` };
  return { folder };
}

function runFinder(
  { program, cwd }: PythonProgram,
  host: Host,
): ReturnType<typeof spawnSync> & { stdout: string } {
  return spawnSync(program, [ISOLATED, '-c', FIND_TORCH], {
    cwd,
    encoding: 'utf8',
    env: host.env,
    timeout: PYTHON_TIMEOUT,
    stdio: ['ignore', 'pipe', 'ignore'],
    windowsHide: true,
  });
}
