import { readdirSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';

/**
 * Explains why code from a folder or file must not be loaded: others can write to it. Null if only this user and root can, and on
 * Windows, where folders inherit their owner's rights.
 */
export function distrust(file: string, remedy = REMEDY): string | null {
  const uid = process.geteuid?.();
  if (uid === undefined) return null;
  const found = lookAt(file);
  if (found === null) return null;
  if (found.uid !== uid && found.uid !== 0) {
    return `${file} belongs to another user, uid ${found.uid}, who can change it: ${remedy}`;
  }
  return (found.mode & OTHERS_WRITE) === 0
    ? null
    : `others can write to ${file}: run chmod go-w on it if nobody has changed its content, or ${remedy}`;
}

/** Write permission of the group and of everybody. */
const OTHERS_WRITE = 0o022;
const REMEDY = 'name a folder of your own in TOKENLEARNER_CACHE, or a libtorch in TOKENLEARNER_LIBTORCH';

/** As {@link distrust}, for a libtorch in the cache: from the cache's folder down to the libraries. */
export function distrustRuntime(cache: string, libDir: string): string | null {
  const files = readdirSync(libDir).map((name) => path.join(libDir, name));
  return (
    distrustPath(cache, libDir) ??
    files.map((file) => distrust(file)).find((reason) => reason !== null) ??
    null
  );
}

/** As {@link distrust}, for the cache, a folder in it, and every folder between them. Ignores folders that do not exist. */
export function distrustPath(cache: string, folder: string, remedy = REMEDY): string | null {
  const parts = path.relative(cache, folder).split(path.sep);
  const chain = parts.map((_, depth) => path.join(cache, ...parts.slice(0, depth + 1)));
  return [cache, ...chain].map((each) => distrust(each, remedy)).find((reason) => reason !== null) ?? null;
}

function lookAt(file: string): Stats | null {
  return statSync(file, { throwIfNoEntry: false }) ?? null;
}
