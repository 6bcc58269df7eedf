import { randomBytes } from 'node:crypto';
import { closeSync, createReadStream, writeSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import type { Fail } from '../formats/format-error';
import { isNoexec } from './mounts';

/** The part of the addon that makes files in memory. */
export interface MemoryFiles {
  /** Makes a file in memory (memfd_create) whose content may be run, and returns its descriptor. Linux alone has it. */
  memoryFile?(name: string): number;
}

/** A library that can be opened. */
export interface OpenableLibrary {
  path: string;
  /** Releases what the path stands on, once the library is open. */
  close: () => void;
}

/**
 * A path of a descriptor that no other library has had. The system's loader takes a path that it knows for the library that had it, and a
 * descriptor soon has the number of a closed one. So random bits choose how the path is written: '/' and '/.' lead to the same file.
 */
function freshPath(descriptor: number): string {
  const bits = [...randomBytes(16)].flatMap((byte) =>
    Array.from({ length: 8 }, (_, bit) => (byte >> bit) & 1),
  );
  return `/proc/self/fd${bits.map((bit) => (bit === 0 ? '/' : '/.')).join('')}/${descriptor}`;
}

/**
 * Returns a path by which a library can be opened: the file's own, or that of a copy in memory where the file system forbids running programs.
 *
 * @throws errors of `fail` where there is no such place.
 */
export async function executableLibrary(
  file: string,
  native: () => MemoryFiles,
  fail: Fail,
  isForbidden: (file: string) => boolean = isNoexec,
): Promise<OpenableLibrary> {
  if (!isForbidden(await realpath(file))) return { path: file, close: () => undefined };
  const addon = native();
  if (addon.memoryFile === undefined)
    throw fail(
      `the cache lies on a file system that forbids running programs (noexec), so ${file} cannot be loaded. Name another folder in TOKENLEARNER_CACHE`,
    );
  const descriptor = addon.memoryFile('tokenlearner-aoti');
  try {
    for await (const part of createReadStream(file)) {
      const bytes = part as Buffer;
      for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
    }
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  return { path: freshPath(descriptor), close };
}
