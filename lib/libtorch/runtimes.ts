import { readdirSync, statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { cachedRuntimeFolders, type Host, runtimeFolder, thisHost } from './cache';
import { inspectInstalled } from './install';
import { asInstallError, installError } from './install-error';
import { withLock } from './lock';
import { entryVersion, type Manifest, manifest } from './manifest';
import { deleteRuntime, foreignPart } from './owned';

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

function folderSize(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const found = statSync(path.join(folder, name), { throwIfNoEntry: false });
    if (found?.isFile() === true) bytes += found.size;
  }
  return bytes;
}

/**
 * Deletes an installed libtorch. Processes that have loaded it keep it until they end.
 *
 * @param folder - one in the cache, or any other that holds only what this package installed.
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL for any other folder, and if deleting fails.
 */
export async function removeRuntime(folder: string, host: Host = thisHost()): Promise<void> {
  const isCached = cachedRuntimeFolders(host).includes(folder);
  const root = isCached ? folder : await realpath(folder).catch(() => path.resolve(folder));
  try {
    const foreign = isCached ? null : await foreignPart(root);
    if (foreign !== null) throw installError(`${root} holds no libtorch that was installed here: ${foreign}`);
    await withLock(`${root}.lock`, () => deleteRuntime(root, !isCached));
  } catch (error) {
    throw asInstallError(`Removing ${root} failed`, error);
  }
}
