import { randomUUID } from 'node:crypto';
import { link, lstat, mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installError } from './install-error';

/** How the lock is taken. */
export interface LockOptions {
  /** Called once when another process holds the lock. */
  onWait?: (() => void) | undefined;
  /** Milliseconds between two looks at a lock that is held. @default 250 */
  poll?: number;
  /** Milliseconds after which a lock that nobody renews counts as abandoned. @default 60000 */
  stale?: number;
}

interface Holder {
  token: string;
  pid: number;
  host: string;
}

/** A lock as it was seen. */
interface Sighting {
  /** null in a file that is still empty. */
  holder: Holder | null;
  modified: number;
  /** Changes with each renewal. */
  mark: string;
}

/** Bytes that a lock may have. */
const LARGEST = 4096;

/**
 * Runs `work` while holding a lock file, so that one process at a time does it on this machine (or on this network
 * drive). A lock whose process is gone, or that is not renewed, is taken over; a file that is no lock is left alone.
 *
 * @throws TokenLearnerError when the lock cannot be had, besides what `work` throws.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { stale = 60_000 } = options;
  const holder: Holder = { token: randomUUID(), pid: process.pid, host: hostname() };
  await mkdir(path.dirname(file), { recursive: true, mode: 0o755 }).catch(refuse(file));
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
  const { poll = 250, stale, onWait } = options;
  const seen = { mark: '', since: 0 };
  for (let waited = false; !(await take(file, holder));) {
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

async function take(file: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(file, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    return refuse(file)(error);
  }
}

function refuse(file: string): (error: unknown) => never {
  return (error) => {
    throw installError(`The lock ${file} cannot be made: ${(error as Error).message}`, error);
  };
}

/**
 * Whether a lock's process is gone or no longer renews it. Its time proves that only where it is past: clocks of two
 * machines differ, so a time to come is compared with nothing but this machine's own, and otherwise `unchanged` decides.
 */
function isAbandoned({ holder, modified }: Sighting, unchanged: number, stale: number): boolean {
  const isLocal = holder?.host === hostname();
  if (isLocal && !isAlive(holder.pid)) return true;
  const age = Date.now() - modified;
  return age > stale || (isLocal && age < -stale) || unchanged > stale;
}

/** Moves an abandoned lock away. When it has become another one's meanwhile, it is put back. */
async function breakLock(file: string, token: string, { mark }: Sighting): Promise<void> {
  const aside = `${file}.${token}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw installError(
      `The lock ${file} is abandoned and cannot be removed: ${(error as Error).message}. Delete it.`,
      error,
    );
  }
  const moved = await look(aside).catch(() => null);
  if (moved?.mark !== mark) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

/** null when there is none. Throws a TokenLearnerError for what is no lock of this package. */
async function look(file: string): Promise<Sighting | null> {
  try {
    const found = await lstat(file);
    const text = found.isFile() && found.size <= LARGEST ? await readFile(file, 'utf8') : 'something else';
    const holder = text === '' ? null : parseHolder(text);
    if (holder !== undefined) return { holder, modified: found.mtimeMs, mark: `${text} ${found.mtimeMs}` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw installError(`The lock ${file} cannot be read: ${(error as Error).message}`, error);
  }
  throw installError(
    `${file} is no lock of this package, and is in its place. Move it, or name another folder.`,
  );
}

/** undefined for what is no lock. */
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
