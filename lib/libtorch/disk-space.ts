import { stat, statfs } from 'node:fs/promises';
import { makeFolders } from '../folders';
import { folderSize } from './folder-size';
import { installError } from './install-error';
import type { ManifestEntry } from './manifest';

/**
 * Checks that an install fits on disk: its files in `target`, and its downloads in `downloads` (null if nothing is downloaded),
 * which may be on another disk. Creates both folders.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL with both sizes if it does not fit.
 */
export async function checkSpace(
  entry: ManifestEntry,
  target: string,
  downloads: string | null,
): Promise<void> {
  const all = (entry.archive?.size ?? 0) + (entry.wheels ?? []).reduce((sum, { size }) => sum + size, 0);
  await makeFolders(target, 0o755);
  if (downloads === null) {
    await demand(target, entry.unpackedSize);
    return;
  }
  await makeFolders(downloads, 0o755);
  // An interrupted download goes on where it ended.
  const fetched = Math.max(0, all - folderSize(downloads));
  const sameDisk = (await stat(target)).dev === (await stat(downloads)).dev;
  await demand(target, entry.unpackedSize + (sameDisk ? fetched : 0));
  if (!sameDisk) await demand(downloads, fetched);
}

async function demand(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  const megabytes = (count: number) => `${Math.ceil(count / 1e6)} MB`;
  throw installError(
    `Installing libtorch needs ${megabytes(bytes)} in ${folder}, and ${megabytes(free)} are free. ` +
      'Set TOKENLEARNER_CACHE to a folder with more space.',
  );
}
