import { existsSync } from 'node:fs';
import { messageOf } from '../errors';

/** True if the file exists; false also if Node's permission model forbids looking. */
export function exists(file: string): boolean {
  try {
    return existsSync(file);
  } catch {
    return false;
  }
}

/** True for an error of Node's permission model. */
export function isForbidden(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ERR_ACCESS_DENIED';
}

/** Explains why a file or folder cannot be read, and the remedy. */
export function unreadable(file: string, error: unknown): string {
  if (isForbidden(error)) {
    return `this process may not read ${file}: grant it with --allow-fs-read, or name a readable libtorch in TOKENLEARNER_LIBTORCH`;
  }
  return `${file} cannot be read: ${messageOf(error)}`;
}

/** True if this process may start others. Node's permission model can forbid it. */
export function mayStartPrograms(): boolean {
  const { permission } = process as { permission?: { has: (scope: string) => boolean } };
  return permission?.has('child') ?? true;
}
