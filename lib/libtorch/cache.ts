import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** The parts of the process that decide where things lie; tests give their own. */
export interface Host {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  arch: string;
  /** The user's home folder. */
  home: string;
}

/** The running process's own. */
export function thisHost(): Host {
  return { env: process.env, platform: process.platform, arch: process.arch, home: homedir() };
}

/**
 * The user's cache folder of this package, shared by all projects: `TOKENLEARNER_CACHE`, or `tokenlearner` in the
 * platform's cache folder (`XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches`; `%LOCALAPPDATA%`).
 */
export function cacheFolder(host: Host): string {
  const { env, platform, home } = host;
  if (env.TOKENLEARNER_CACHE) return path.resolve(env.TOKENLEARNER_CACHE);
  if (platform === 'darwin') return path.join(home, 'Library', 'Caches', 'tokenlearner');
  if (platform === 'win32') {
    return path.join(env.LOCALAPPDATA ?? path.join(home, 'AppData', 'Local'), 'tokenlearner');
  }
  // The XDG specification has relative values ignored.
  const xdg = env.XDG_CACHE_HOME;
  return path.join(xdg && path.isAbsolute(xdg) ? xdg : path.join(home, '.cache'), 'tokenlearner');
}

/** Where the cache keeps its libtorch folders, one per version and variant. */
export function cachedLibtorchFolder(host: Host): string {
  return path.join(cacheFolder(host), 'libtorch');
}

/** The folder of one version and variant, whether it exists or not. */
export function runtimeFolder(host: Host, version: string, variant: string): string {
  return path.join(cachedLibtorchFolder(host), `${version}-${variant}`);
}

/** Absolute paths of what lies in the cache; temporary and lock files left out. */
export function cachedRuntimeFolders(host: Host): string[] {
  const folder = cachedLibtorchFolder(host);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.filter((name) => /^\d+\.\d+\.\d+-\w+$/.test(name)).map((name) => path.join(folder, name));
}
