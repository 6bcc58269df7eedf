import { randomUUID } from 'node:crypto';
import { link, lstat, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../errors';
import { makeFolders } from '../folders';
import { installError } from './install-error';

/** How to take the lock. */
export interface LockOptions {
  /** Called once when another process holds the lock. */
  onWait?: (() => void) | undefined;
  /** Milliseconds between two checks of a held lock. @default 250 */
  poll?: number;
  /** Milliseconds after which a lock that is not renewed counts as stale. @default 60000 */
  stale?: number;
  /** A sentence for the error that the lock cannot be created. */
  remedy?: string | undefined;
}

interface Holder {
  token: string;
  pid: number;
  host: string;
}

/** The state of a lock file. */
interface Sighting {
  /** null if the file is still empty. */
  holder: Holder | null;
  modified: number;
  /** Changes with every renewal. */
  mark: string;
}

/** True if a name beside a runtime's folder is that of its lock, or of a stale lock that was being broken. */
export function isLockName(name: string, root: string): boolean {
  const start = `${path.basename(root)}.lock`;
  return (
    name === start || (name.startsWith(`${start}.`) && /^[\da-f-]{36}$/.test(name.slice(start.length + 1)))
  );
}

/** The lock of a runtime's folder. */
export function lockOf(root: string): string {
  return `${root}.lock`;
}

/** The most bytes of a lock file. */
const LARGEST = 4096;

/**
 * Runs `work` while holding a lock file, so that only one process at a time does it on this machine (or on this network drive).
 * Takes over a lock whose process is gone, or that is not renewed. Leaves a file alone that is not a lock.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if the lock cannot be taken; and the errors of `work`.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { stale = 60_000, remedy } = options;
  const holder: Holder = { token: randomUUID(), pid: process.pid, host: hostname() };
  await makeFolders(path.dirname(file), 0o755).catch(refuse(file, remedy));
  await acquire(file, holder, { ...options, stale });
  const renewal = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, stale / 4);
  renewal.unref();
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    if ((await look(file).catch(() => null))?.holder?.token === holder.token) await rm(file, { force: true });
  }
}

async function acquire(
  file: string,
  holder: Holder,
  options: LockOptions & { stale: number },
): Promise<void> {
  const { poll = 250, stale, onWait, remedy } = options;
  const seen = { mark: '', since: 0 };
  for (let waited = false; !(await take(file, holder, remedy));) {
    const sighting = await look(file);
    if (sighting === null) continue;
    if (sighting.mark !== seen.mark) Object.assign(seen, { mark: sighting.mark, since: performance.now() });
    if (isAbandoned(sighting, performance.now() - seen.since, stale)) {
      await breakLock(file, holder.token, sighting);
      continue;
    }
    if (!waited) onWait?.();
    waited = true;
    await sleep(poll);
  }
}

async function take(file: string, holder: Holder, remedy: string | undefined): Promise<boolean> {
  try {
    await writeFile(file, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    return refuse(file, remedy)(error);
  }
}

function refuse(file: string, remedy: string | undefined): (error: unknown) => never {
  return (error) => {
    const text = `The lock ${file} cannot be created: ${messageOf(error)}`;
    throw installError(remedy === undefined ? text : `${text}. ${remedy}`, error);
  };
}

/**
 * True if a lock's process is gone or no longer renews the lock. Clocks of two machines differ, so its time counts only for locks of
 * this machine; for others, `unchanged` (milliseconds without a change) decides.
 */
function isAbandoned({ holder, modified }: Sighting, unchanged: number, stale: number): boolean {
  const isLocal = holder?.host === hostname();
  if (isLocal && !isAlive(holder.pid)) return true;
  return (isLocal && Math.abs(Date.now() - modified) > stale) || unchanged > stale;
}

/**
 * Removes a stale lock. Two processes may find the same stale lock. If the file that was moved is a fresh lock of the other
 * process, put it back.
 */
async function breakLock(file: string, token: string, { mark }: Sighting): Promise<void> {
  const aside = `${file}.${token}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw installError(
      `The lock ${file} is stale and cannot be removed: ${messageOf(error)}. Delete it.`,
      error,
    );
  }
  const moved = await look(aside).catch(() => null);
  if (moved?.mark !== mark) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

/** Reads a lock file; null if there is none. Throws a TokenLearnerError if the file is not a lock of this package. */
async function look(file: string): Promise<Sighting | null> {
  try {
    const found = await lstat(file);
    const text = found.isFile() && found.size <= LARGEST ? await readFile(file, 'utf8') : 'something else';
    const holder = text === '' ? null : parseHolder(text);
    if (holder !== undefined) return { holder, modified: found.mtimeMs, mark: `${text} ${found.mtimeMs}` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw installError(`The lock ${file} cannot be read: ${messageOf(error)}`, error);
  }
  throw installError(
    `${file} has the name of a lock but is not a lock of this package. Move it, or name another folder.`,
  );
}

/** Returns undefined if the text is not a lock's. */
function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<Holder> | null;
    const { token, host, pid } = holder ?? {};
    const isHolder = typeof token === 'string' && typeof host === 'string' && Number.isSafeInteger(pid);
    return isHolder && Number(pid) > 0 ? (holder as Holder) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
