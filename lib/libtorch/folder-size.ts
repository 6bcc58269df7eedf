import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

/** The bytes of the files in a folder and below, or of a file. Files that another process deletes meanwhile count as 0. */
export function folderSize(folder: string): number {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) return found?.size ?? 0;
  let bytes = 0;
  for (const name of namesIn(folder)) {
    const file = statSync(path.join(folder, name), { throwIfNoEntry: false });
    if (file?.isFile() === true) bytes += file.size;
  }
  return bytes;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
