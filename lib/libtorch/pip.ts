import { spawn, type StdioOptions } from 'node:child_process';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../errors';
import { makeFolders } from '../folders';
import { thisHost } from './cache';
import type { PipSource } from './manifest';
import { findPython, ISOLATED, pythonName } from './python-program';

/** The wheel that pip downloaded, or the reason why it did not. */
export type PipResult = { wheel: string; reason: null } | { wheel: null; reason: string };

/** Runs a program from PATH by its name. Tests pass their own. */
export type RunProgram = (
  command: string,
  args: readonly string[],
) => Promise<{ status: number; stderr: string }>;

/** The status of a program that could not be started, as in a shell. */
const NOT_RUN = 127;

/** The Python whose wheel to download. libtorch itself is the same for every Python. */
const WHEEL_TAG = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];

/**
 * Downloads a wheel through pip into a folder: from pip's configured index and then, if `withIndex` is set, from PyTorch's own.
 * Installs nothing. A wheel that lies in the folder already is not taken for pip's.
 */
export async function pipDownload(
  source: PipSource,
  folder: string,
  withIndex: boolean,
  run: RunProgram = runProgram,
): Promise<PipResult> {
  await makeFolders(folder, 0o755);
  const own = await mkdtemp(path.join(folder, 'pip-'));
  try {
    const result = await downloadWheel(source, own, withIndex, run);
    if (result.wheel === null) return result;
    const wheel = path.join(folder, path.basename(result.wheel));
    await rename(result.wheel, wheel);
    return { wheel, reason: null };
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/** As {@link pipDownload}, into an empty folder. */
async function downloadWheel(
  source: PipSource,
  folder: string,
  withIndex: boolean,
  run: RunProgram,
): Promise<PipResult> {
  const base = downloadInto(folder, '--no-deps');
  const tags = [...WHEEL_TAG, ...source.platforms.flatMap((platform) => ['--platform', platform])];
  const attempts = [
    [...base, ...tags, source.requirement],
    // An index may hold only the wheel for its own Python.
    [...base, source.requirement],
    ...(withIndex ? [[...base, ...tags, '--index-url', source.index, source.requirement]] : []),
  ];
  let reason = '';
  for (const args of attempts) {
    const { status, stderr } = await run(pythonName(process.platform), args);
    if (status === 0) {
      const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
      if (wheel !== undefined) return { wheel: path.join(folder, wheel), reason: null };
    }
    reason = lastError(stderr);
    if (isWithoutPip(status, stderr)) break;
  }
  return { wheel: null, reason };
}

/**
 * Downloads several packages through pip into a folder, for the Python that runs pip: from pip's configured index, and then from
 * PyTorch's own. `resolve` also downloads their dependencies.
 *
 * @returns the reason of a failure; null on success.
 */
export async function pipDownloadAll(
  requirements: readonly string[],
  folder: string,
  index: string,
  resolve: boolean,
  run: RunProgram = runProgram,
): Promise<string | null> {
  const args = [...downloadInto(folder, ...(resolve ? [] : ['--no-deps'])), ...requirements];
  const first = await run(pythonName(process.platform), args);
  if (first.status === 0) return null;
  if (isWithoutPip(first.status, first.stderr)) return lastError(first.stderr);
  const second = await run(pythonName(process.platform), [...args, '--index-url', index]);
  return second.status === 0 ? null : lastError(first.stderr);
}

/** pip runs in another working directory, so the folder must be absolute. */
function downloadInto(folder: string, ...flags: string[]): string[] {
  const target = path.resolve(folder);
  const fixed = ['--only-binary=:all:', '--retries', '2', '--dest', target];
  return [ISOLATED, '-m', 'pip', 'download', ...flags, ...fixed];
}

function isWithoutPip(status: number, stderr: string): boolean {
  return status === NOT_RUN || stderr.includes('No module named pip');
}

function lastError(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return (lines.reverse().find((line) => line.startsWith('ERROR')) ?? lines[0] ?? 'pip failed').trim();
}

/** pip's progress goes to stderr, as ours does. Its error output is kept for the message. */
function runProgram(command: string, args: readonly string[]): Promise<{ status: number; stderr: string }> {
  const host = thisHost();
  const python = findPython(host);
  if (python.program === null) return Promise.resolve({ status: NOT_RUN, stderr: python.reason });
  return new Promise((resolve) => {
    const stdio: StdioOptions = ['ignore', process.stderr, 'pipe'];
    const notRun = (error: unknown): void => {
      resolve({ status: NOT_RUN, stderr: `${command} cannot be run: ${messageOf(error)}` });
    };
    let child;
    try {
      child = spawn(python.program, args, { cwd: python.cwd, env: host.env, stdio, windowsHide: true });
    } catch (error) {
      // Node throws some of the system's errors, such as EPERM in a sandbox, and emits others.
      notRun(error);
      return;
    }
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', notRun);
    child.on('close', (status) => {
      resolve({ status: status ?? 1, stderr });
    });
  });
}
