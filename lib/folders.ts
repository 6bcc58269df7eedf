import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * Makes a folder, and those above it, where there are none. Node's own recursive mkdir goes on for ever where the system says ENOENT for a folder whose
 * parent is there, as under /proc.
 *
 * @param mode - of the new folders, before the umask
 * @throws the error of the system.
 */
export async function makeFolders(folder: string, mode = 0o777): Promise<void> {
  const parent = path.dirname(folder);
  try {
    await mkdir(folder, { mode }).catch(async (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error;
      await makeFolders(parent, mode);
      await mkdir(folder, { mode });
    });
  } catch (error) {
    const isThere = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isThere) throw error;
  }
}
