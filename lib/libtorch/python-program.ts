import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { mayStartPrograms } from './access';
import type { Host } from './cache';

/** Python's name on a platform. */
export function pythonName(platform: NodeJS.Platform): string {
  return platform === 'win32' ? 'python' : 'python3';
}

/** A Python, and how it is started so that nothing of the working directory runs. */
export interface PythonProgram {
  /** Absolute path. */
  program: string;
  /** Its own folder: a working directory that nobody else chooses. */
  cwd: string;
}

/** Isolated mode: neither the working directory nor Python's variables say where modules come from. */
export const ISOLATED = '-I';

/**
 * The Python on PATH, or why none can be run. An entry that is not absolute stands for the working directory, and one in
 * a `node_modules` for what a project brings (`npm run` puts it first): both are passed over.
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
