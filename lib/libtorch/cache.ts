import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { unreadable } from './access';

/** The parts of the process that determine locations. Tests pass their own. */
export interface Host {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  arch: string;
  /** The user's home folder; null if there is none. */
  home: string | null;
}

/** The host of the running process. */
export function thisHost(): Host {
  return { env: process.env, platform: process.platform, arch: process.arch, home: userHome() };
}

/** Node throws if HOME is not set and the user has no entry in the system's list, as in some containers. */
function userHome(): string | null {
  try {
    return homedir();
  } catch {
    return null;
  }
}

/** For messages: why {@link cacheFolder} is null. */
export const NO_CACHE =
  'none, since this user has no home folder (HOME is not an absolute path); TOKENLEARNER_CACHE can name one';

/**
 * The user's cache folder of this package, shared by all projects: `TOKENLEARNER_CACHE`, or `tokenlearner` in the
 * platform's cache folder (`XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches`; `%LOCALAPPDATA%`). Ignores paths that are not
 * absolute: code is loaded from the cache, and anybody may control the working directory.
 *
 * @returns an absolute path; null if there is no such folder.
 */
export function cacheFolder(host: Host): string | null {
  const { env, platform, home } = host;
  if (env.TOKENLEARNER_CACHE) return path.resolve(env.TOKENLEARNER_CACHE);
  const within = (folder: string | null | undefined, ...parts: string[]): string | null =>
    folder && path.isAbsolute(folder) ? path.join(folder, ...parts, 'tokenlearner') : null;
  if (platform === 'darwin') return within(home, 'Library', 'Caches');
  if (platform === 'win32') return within(env.LOCALAPPDATA) ?? within(home, 'AppData', 'Local');
  return within(env.XDG_CACHE_HOME) ?? within(home, '.cache');
}

/** The folder of the cache with one libtorch folder per version and variant; null without a cache. */
export function cachedLibtorchFolder(host: Host): string | null {
  const cache = cacheFolder(host);
  return cache && path.join(cache, 'libtorch');
}

/** The folder of the cache with the downloads of installs, one folder per version and variant; null without a cache. */
export function downloadsFolder(host: Host): string | null {
  const cache = cacheFolder(host);
  return cache && path.join(cache, 'downloads');
}

/** The folder of one version and variant. It may not exist. Null without a cache. */
export function runtimeFolder(host: Host, version: string, variant: string): string | null {
  const folder = cachedLibtorchFolder(host);
  return folder && path.join(folder, `${version}-${variant}`);
}

/** Absolute paths of the libtorch folders in the cache, without temporary and lock files. */
export function cachedRuntimeFolders(host: Host): string[] {
  return listCache(host).folders;
}

/** The libtorch folders in the cache. `reason` explains an unreadable cache, else it is null. */
export function listCache(host: Host): { folders: string[]; reason: string | null } {
  const folder = cachedLibtorchFolder(host);
  if (folder === null) return { folders: [], reason: NO_CACHE };
  try {
    const names = readdirSync(folder).filter((name) => /^\d+\.\d+\.\d+-\w+$/.test(name));
    return { folders: names.map((name) => path.join(folder, name)), reason: null };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return { folders: [], reason: isMissing ? null : unreadable(folder, error) };
  }
}
