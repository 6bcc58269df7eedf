import { statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { cachedRuntimeFolders, type Host, listCache, runtimeFolder, thisHost } from './cache';
import { folderSize } from './folder-size';
import { inspectInstalled } from './install';
import { asInstallError, installError } from './install-error';
import { deleteCachedLeftovers, hasLeftovers, listLeftovers } from './leftovers';
import { lockOf, withLock } from './lock';
import { entryVersion, type Manifest, manifest, unknownVariant } from './manifest';
import { deleteLeftovers, deleteRuntime, foreignPart } from './owned';

/** A libtorch that is installed or can be. */
export interface RuntimeEntry {
  variant: string;
  version: string;
  /** Its folder, also if it is not installed yet; null if this user has no cache. */
  folder: string | null;
  installed: boolean;
  /** Bytes on disk; an upper bound if it is not installed. */
  size: number;
  /**
   * How downloads are verified: by a sha256 in the manifest, or only by pip and its index. null: the manifest does not list it,
   * so it can only be removed.
   */
  verified: 'sha256' | 'pip' | null;
}

/** Lists the manifest's libtorch builds for this platform, and any others in the user's cache. */
export function listRuntimes(host: Host, from: Manifest = manifest): RuntimeEntry[] {
  const offered = Object.entries(from.variants).flatMap(([variant, targets]): RuntimeEntry[] => {
    const entry = targets[`${host.platform}-${host.arch}`];
    if (entry === undefined) return [];
    const version = entryVersion(entry, from);
    const folder = runtimeFolder(host, version, variant);
    const installed = folder !== null && inspectInstalled(folder, host) !== null;
    const size = installed ? folderSize(folder) : entry.unpackedSize;
    const pinned = entry.archive !== null || (entry.wheels ?? []).length > 0;
    return [{ variant, version, folder, installed, size, verified: pinned ? 'sha256' : 'pip' }];
  });
  const others = cachedRuntimeFolders(host).filter(
    (folder) => !offered.some((each) => each.folder === folder),
  );
  return [...offered, ...others.map((folder) => describeFolder(folder, host))];
}

function describeFolder(folder: string, host: Host): RuntimeEntry {
  const [version = '', variant = ''] = path.basename(folder).split('-');
  const installed = inspectInstalled(folder, host) !== null;
  return { variant, version, folder, installed, size: folderSize(folder), verified: null };
}

/** How to remove. */
export interface RemoveOptions {
  host?: Host;
  /** Receives what is done, and a wait for an install that is under way. */
  log?: (line: string) => void;
}

/**
 * Deletes an installed libtorch, and what interrupted installs left of it. Processes that have loaded it keep it until they end.
 *
 * @param folder - one in the cache, or any other that holds only what this package installed.
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL for any other folder, and if deleting fails.
 */
export async function removeRuntime(folder: string, options: RemoveOptions = {}): Promise<void> {
  const { host = thisHost(), log = () => undefined } = options;
  const isCached = cachedRuntimeFolders(host).includes(folder);
  const root = isCached ? folder : await realpath(folder).catch(() => path.resolve(folder));
  try {
    const isGone =
      statSync(root, { throwIfNoEntry: false }) === undefined && (await hasLeftovers(root, host));
    const foreign = isCached || isGone ? null : await foreignPart(root);
    if (foreign !== null) throw installError(`${root} holds no libtorch that was installed here: ${foreign}`);
    const onWait = (): void => {
      log(`Another process is installing ${root}; waiting for it.`);
    };
    const work = async (): Promise<void> => {
      await deleteRuntime(root, !isCached);
      await deleteLeftovers(root);
      await deleteCachedLeftovers(root, host, lockOf(root), { onWait });
    };
    await withLock(lockOf(root), work, { onWait });
  } catch (error) {
    throw asInstallError(`Removing ${root} failed`, error);
  }
}

/**
 * Deletes from the cache every libtorch of a variant, or all, with what interrupted installs left. Waits for installs that are under
 * way.
 *
 * @returns the folders of the runtimes that were there, also in part.
 * @throws TokenLearnerError ERR_INVALID_ARG_VALUE for a variant that does not exist; ERR_LIBTORCH_INSTALL if the cache cannot be
 * read, or deleting fails.
 */
export async function removeCached(variant: string | null, options: RemoveOptions = {}): Promise<string[]> {
  const { host = thisHost(), log = () => undefined } = options;
  const { folders, reason } = listCache(host);
  if (reason !== null) throw installError(`Nothing was removed from the cache: ${reason}`);
  const all = new Map(folders.map((folder) => [folder, path.basename(folder).split('-')[1] ?? '']));
  for (const { root, variant: its } of listLeftovers(host)) all.set(root, its);
  const known = [...new Set([...Object.keys(manifest.variants), ...all.values()])];
  if (variant !== null && !known.includes(variant)) throw unknownVariant(variant, known);
  const chosen = [...all].filter(([, its]) => variant === null || its === variant).map(([root]) => root);
  for (const root of chosen) {
    await removeRuntime(root, { host, log });
    log(folders.includes(root) ? `Removed ${root}` : `Removed what interrupted installs left of ${root}`);
  }
  return chosen;
}
