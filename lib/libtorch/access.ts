import { existsSync } from 'node:fs';
import { types } from 'node:util';

/** Whether something is there; false also where Node's permission model forbids to look. */
export function exists(file: string): boolean {
  try {
    return existsSync(file);
  } catch {
    return false;
  }
}

/** Whether Node's permission model forbade it. */
export function isForbidden(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ERR_ACCESS_DENIED';
}

/** Why a file or folder cannot be looked at, and what mends it. */
export function unreadable(file: string, error: unknown): string {
  if (isForbidden(error)) {
    return `this process may not read ${file}: grant it with --allow-fs-read, or name a readable libtorch in TOKENLEARNER_LIBTORCH`;
  }
  return `${file} cannot be read: ${types.isNativeError(error) ? error.message : String(error)}`;
}

/** Whether this process may start others: Node's permission model can forbid it. */
export function mayStartPrograms(): boolean {
  const { permission } = process as { permission?: { has: (scope: string) => boolean } };
  return permission?.has('child') ?? true;
}
