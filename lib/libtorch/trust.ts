import { readdirSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';

/**
 * Why code from a folder or file must not be loaded: others can write it. Null where only this user and root can, and on
 * Windows, whose folders inherit their owner's rights.
 */
export function distrust(file: string): string | null {
  const uid = process.geteuid?.();
  if (uid === undefined) return null;
  const found = lookAt(file);
  if (found === null) return null;
  if (found.uid !== uid && found.uid !== 0) {
    return `${file} belongs to another user, uid ${found.uid}, who can change it: ${REMEDY}`;
  }
  return (found.mode & OTHERS_WRITE) === 0
    ? null
    : `others can write ${file}: chmod go-w it if nobody has changed what is in it, or ${REMEDY}`;
}

/** Of the group, and of everybody. */
const OTHERS_WRITE = 0o022;
const REMEDY = 'name a folder of your own in TOKENLEARNER_CACHE, or a libtorch in TOKENLEARNER_LIBTORCH';

/** What is wrong with a libtorch in the cache, from the cache's folder down to the libraries; null where nothing is. */
export function distrustRuntime(cache: string, libDir: string): string | null {
  const files = readdirSync(libDir).map((name) => path.join(libDir, name));
  return distrustPath(cache, libDir) ?? files.map(distrust).find((reason) => reason !== null) ?? null;
}

/** The same for a folder in the cache, and every folder between them. What does not exist is no danger. */
export function distrustPath(cache: string, folder: string): string | null {
  const parts = path.relative(cache, folder).split(path.sep);
  const chain = parts.map((_, depth) => path.join(cache, ...parts.slice(0, depth + 1)));
  return [cache, ...chain].map(distrust).find((reason) => reason !== null) ?? null;
}

function lookAt(file: string): Stats | null {
  return statSync(file, { throwIfNoEntry: false }) ?? null;
}
