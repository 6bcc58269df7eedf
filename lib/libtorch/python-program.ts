import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { mayStartPrograms } from './access';
import type { Host } from './cache';

/** Python's name on a platform. */
export function pythonName(platform: NodeJS.Platform): string {
  return platform === 'win32' ? 'python' : 'python3';
}

/** A Python, and how to start it so that it runs no code from the working directory. */
export interface PythonProgram {
  /** Absolute path. */
  program: string;
  /** Its own folder: a working directory that others cannot choose. */
  cwd: string;
}

/** Isolated mode: Python takes no modules from the working directory or from paths in environment variables. */
export const ISOLATED = '-I';

/**
 * Finds the Python on PATH, or explains why none can be run. Skips relative entries, which depend on the working directory, and
 * entries in a `node_modules`, which belong to a project (`npm run` puts them first).
 */
export function findPython(host: Host): PythonProgram | { program: null; reason: string } {
  const none = (reason: string) => ({
    program: null,
    reason: `${pythonName(host.platform)} cannot be run: ${reason}`,
  });
  if (!mayStartPrograms()) return none('this process may not start others (--allow-child-process)');
  const program = searchPath(host);
  if (program === undefined) return none('ENOENT, it is in no folder of PATH');
  return { program, cwd: path.dirname(program) };
}

function searchPath({ env, platform }: Host): string | undefined {
  const isWindows = platform === 'win32';
  const system = isWindows ? path.win32 : path.posix;
  const file = `${pythonName(platform)}${isWindows ? '.exe' : ''}`;
  const folders = (env.PATH ?? '')
    .split(system.delimiter)
    .filter((folder) => system.isAbsolute(folder) && !folder.split(/[\\/]/).includes('node_modules'));
  return folders.map((folder) => path.join(folder, file)).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
