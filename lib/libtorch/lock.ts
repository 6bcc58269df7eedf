import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

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

/**
 * Runs `work` while holding a lock file, so that one process at a time does it on this machine (or on this network
 * drive). A lock whose process is gone is taken over.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { poll = 250, stale = 60_000 } = options;
  const holder: Holder = { token: randomUUID(), pid: process.pid, host: hostname() };
  await mkdir(path.dirname(file), { recursive: true });
  for (let waited = false; !(await take(file, holder));) {
    if (await isAbandoned(file, stale)) {
      await breakLock(file, holder.token, stale);
      continue;
    }
    if (!waited) options.onWait?.();
    waited = true;
    await sleep(poll);
  }
  const renewal = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, stale / 4);
  renewal.unref();
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    if ((await readHolder(file))?.token === holder.token) await rm(file, { force: true });
  }
}

async function take(file: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(file, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function isAbandoned(file: string, stale: number): Promise<boolean> {
  const holder = await readHolder(file);
  if (holder?.host === hostname() && !isAlive(holder.pid)) return true;
  const age = await stat(file).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  return age > stale;
}

/**
 * Moves an abandoned lock away. Of several that find it abandoned the first may already hold a new one: whoever moves that
 * away puts it back.
 */
async function breakLock(file: string, token: string, stale: number): Promise<void> {
  const aside = `${file}.${token}`;
  await rename(file, aside).catch(() => undefined);
  if (!(await isAbandoned(aside, stale))) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

async function readHolder(file: string): Promise<Holder | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder;
  } catch {
    return null;
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
