import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Host } from './cache';

/** Where Python's torch is, or why it was not found. */
export type PythonTorch = { folder: string } | { folder: null; reason: string };

// find_spec of a top-level name finds the package without importing it.
const FIND_TORCH =
  'import importlib.util as u; s = u.find_spec("torch"); ' +
  'print(s.submodule_search_locations[0] if s and s.submodule_search_locations else "")';

/** Milliseconds that Python may take to answer. */
const PYTHON_TIMEOUT = 5000;

/**
 * Looks for an installed Python `torch`: in the active virtual and conda environments by their folders, and otherwise by
 * asking `python3` where it would import torch from. Nothing is imported.
 */
export function findPythonTorch(host: Host): PythonTorch {
  for (const prefix of [host.env.VIRTUAL_ENV, host.env.CONDA_PREFIX]) {
    if (!prefix) continue;
    const folder = sitePackages(prefix, host)
      .map((site) => path.join(site, 'torch'))
      .find((candidate) => existsSync(candidate));
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
  const command = host.platform === 'win32' ? 'python' : 'python3';
  const answer = spawnPython(command, host);
  if (answer instanceof Error) return { folder: null, reason: `${command} cannot be run: ${answer.message}` };
  if (answer.error) return { folder: null, reason: `${command} cannot be run: ${answer.error.message}` };
  const folder = answer.stdout.trim();
  if (answer.status !== 0 || folder === '') return { folder: null, reason: `${command} has no module torch` };
  return { folder };
}

// spawnSync throws, rather than reports, where Node's permission model forbids child processes.
function spawnPython(command: string, host: Host): SpawnSyncReturns<string> | Error {
  try {
    return spawnSync(command, ['-c', FIND_TORCH], {
      encoding: 'utf8',
      env: host.env,
      timeout: PYTHON_TIMEOUT,
      stdio: ['ignore', 'pipe', 'ignore'],
      windowsHide: true,
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
