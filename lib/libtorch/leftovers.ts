/** What interrupted installs leave: partial downloads, folders that were being unpacked, and lock files. */
import { type Dirent, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { cachedLibtorchFolder, downloadsFolder, type Host } from './cache';
import { folderSize } from './folder-size';
import { isLockName, type LockOptions, lockOf, withLock } from './lock';
import { isTemporaryName, leftoversBeside } from './owned';

/** The leftovers of one version and variant in the cache. */
export interface Leftovers {
  /** The runtime's folder, which may exist too. */
  root: string;
  variant: string;
  /** Absolute paths. */
  paths: string[];
}

const RUNTIME = /^(\d+\.\d+\.\d+-(\w+))(?=$|~|\.lock)/;

/**
 * Lists the leftovers in the cache. An install that is under way has the same files: hold the runtime's lock to delete them, and that of
 * its downloads, and list them again.
 */
export function listLeftovers(host: Host): Leftovers[] {
  const [cache, downloads] = [cachedLibtorchFolder(host), downloadsFolder(host)];
  if (cache === null || downloads === null) return [];
  const found = new Map<string, Leftovers>();
  const add = (name: string, file: string): void => {
    const [, runtime, variant] = RUNTIME.exec(name) ?? [];
    if (runtime === undefined || variant === undefined) return;
    const root = path.join(cache, runtime);
    const entry = found.get(root) ?? { root, variant, paths: [] };
    entry.paths.push(file);
    found.set(root, entry);
  };
  for (const { name } of entriesOf(cache)) {
    const root = path.join(cache, RUNTIME.exec(name)?.[1] ?? '');
    if (isTemporaryName(name, root) || isLockName(name, root)) add(name, path.join(cache, name));
  }
  for (const entry of entriesOf(downloads)) {
    const runtime = RUNTIME.exec(entry.name)?.[1] ?? '';
    if ((entry.isDirectory() && runtime === entry.name) || isLockName(entry.name, runtime))
      add(entry.name, path.join(downloads, entry.name));
  }
  return [...found.values()];
}

/** The bytes of all leftovers in the cache. */
export function leftoverBytes(host: Host): number {
  return listLeftovers(host)
    .flatMap(({ paths }) => paths)
    .reduce((sum, file) => sum + folderSize(file), 0);
}

/** Deletes a runtime's leftovers in the cache, except `lock`, which the caller must hold. Waits for who downloads. */
export async function deleteCachedLeftovers(
  root: string,
  host: Host,
  lock: string,
  options: LockOptions = {},
): Promise<void> {
  const downloads = downloadsFolder(host);
  const isDownload = (file: string): boolean => path.dirname(file) === downloads;
  const remove = async (isChosen: (file: string) => boolean): Promise<void> => {
    const paths = listLeftovers(host).find((each) => each.root === root)?.paths ?? [];
    for (const file of paths.filter(isChosen)) await rm(file, { recursive: true, force: true });
  };
  await remove((file) => file !== lock && !isDownload(file));
  const found = listLeftovers(host).find((each) => each.root === root)?.paths ?? [];
  if (downloads === null || !found.some(isDownload)) return;
  const held = lockOf(path.join(downloads, path.basename(root)));
  await withLock(held, () => remove((file) => file !== held && isDownload(file)), options);
}

/** True if an interrupted install left something of a runtime, in the cache or beside its folder. */
export async function hasLeftovers(root: string, host: Host): Promise<boolean> {
  if (listLeftovers(host).some((each) => each.root === root)) return true;
  return (await leftoversBeside(root).catch(() => [])).length > 0;
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
