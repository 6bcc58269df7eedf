import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, type Host, runtimeFolder, thisHost } from './cache';
import { type FoundLibtorch, inspectLibtorch, readRuntimeRecord, type RuntimeRecord } from './inspect';
import { installError } from './install-error';
import { withLock } from './lock';
import { type Manifest, manifest, manifestEntry, type ManifestEntry } from './manifest';
import { checkGivenArchive, obtainArchive } from './obtain';
import { pipDownload } from './pip';
import type { OnProgress } from './progress';
import { unpackLibtorch } from './unpack';

/** How a libtorch is to be installed into the user's cache. */
export interface InstallOptions {
  /** @default 'cpu' */
  variant?: string;
  /**
   * A wheel or official archive on disk, instead of fetching one. One with the pinned file's name must have its hash; any
   * other must be of the pinned version.
   */
  fromFile?: string | undefined;
  /** Told in words what is being done. */
  log?: (line: string) => void;
  onProgress?: OnProgress | undefined;
  /** For tests. */
  host?: Host;
  /** For tests. */
  manifest?: Manifest;
  /** For tests. */
  pip?: typeof pipDownload;
}

interface Job extends Required<Pick<InstallOptions, 'variant' | 'log' | 'host' | 'pip'>> {
  onProgress: OnProgress | undefined;
  fromFile: string | undefined;
  entry: ManifestEntry;
  version: string;
  /** The folder that is to be filled. */
  root: string;
}

/**
 * Puts the pinned libtorch into the user's cache: its libraries, the headers of its stable ABI, its licences. Returns at
 * once when it is there and whole. The wheel comes from `fromFile`, or pip, or PyTorch's download site, and its sha256
 * is checked; where no hash is known, pip alone may fetch it. The folder appears complete or not at all, and
 * any number of processes may install at once.
 *
 * `TOKENLEARNER_LIBTORCH_MIRROR` replaces the scheme and host of the download site.
 *
 * @throws TokenLearnerError when it cannot be had; the message says what was tried.
 */
export async function installLibtorch(options: InstallOptions = {}): Promise<FoundLibtorch> {
  const { variant = 'cpu', host = thisHost(), log = () => undefined } = options;
  const pinned = options.manifest ?? manifest;
  const entry = manifestEntry(variant, `${host.platform}-${host.arch}`, pinned);
  const root = runtimeFolder(host, pinned.version, variant);
  const existing = inspectInstalled(root, host);
  if (existing !== null) return existing;
  const { onProgress, fromFile, pip = pipDownload } = options;
  const job: Job = { variant, log, host, pip, onProgress, fromFile, entry, version: pinned.version, root };
  const onWait = () => {
    log(`Another process is installing ${root}; waiting for it.`);
  };
  return withLock(`${root}.lock`, async () => inspectInstalled(root, host) ?? (await install(job)), {
    onWait,
  });
}

/** The libtorch in a cache folder; null when it is missing, incomplete or damaged. */
export function inspectInstalled(root: string, host: Host): FoundLibtorch | null {
  if (readRuntimeRecord(root) === null) return null;
  const inspection = inspectLibtorch(root, host);
  return inspection.ok ? inspection.found : null;
}

async function install(job: Job): Promise<FoundLibtorch> {
  const { root, host, log } = job;
  await removeLeftovers(root);
  await checkSpace(job);
  const downloads = path.join(cacheFolder(host), 'downloads', path.basename(root));
  const archive = await bringArchive(job, downloads);
  const temporary = `${root}~${randomUUID()}`;
  try {
    log(`Unpacking ${path.basename(archive)}`);
    await mkdir(temporary, { recursive: true });
    const files = await unpackLibtorch(archive, temporary, job.onProgress);
    checkUnpacked(temporary, archive, job);
    const record: RuntimeRecord = {
      version: job.version,
      variant: job.variant,
      platform: host.platform,
      arch: host.arch,
      files,
    };
    await writeFile(path.join(temporary, 'runtime.json'), `${JSON.stringify(record, null, 2)}\n`);
    await rm(root, { recursive: true, force: true });
    await rename(temporary, root);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  await rm(downloads, { recursive: true, force: true });
  const installed = inspectInstalled(root, host);
  if (installed === null) throw installError(`${root} was changed while it was being installed`);
  return installed;
}

function bringArchive(job: Job, folder: string): Promise<string> {
  const { entry, fromFile, host, version, variant, pip, log, onProgress } = job;
  if (fromFile !== undefined) return checkGivenArchive(fromFile, entry.archive);
  const title = `${version} (${variant}) for ${host.platform}-${host.arch}`;
  return obtainArchive({ host, entry, title, folder, pip, log, onProgress });
}

/** What was unpacked must be what was asked for, wherever the archive came from. */
function checkUnpacked(folder: string, archive: string, { host, version, variant }: Job): void {
  const inspection = inspectLibtorch(folder, host);
  if (!inspection.ok) throw installError(`${archive} holds no usable libtorch: ${inspection.reason}`);
  const { found } = inspection;
  if (found.version !== version || (found.variant ?? variant) !== variant) {
    throw installError(
      `${archive} holds libtorch ${found.version ?? 'of no stated version'} (${found.variant ?? 'no variant'}), ` +
        `expected ${version} (${variant})`,
    );
  }
}

/** Whoever holds the lock is alone, so every temporary folder is one that an ended process left. */
async function removeLeftovers(root: string): Promise<void> {
  const parent = path.dirname(root);
  for (const name of await readdir(parent)) {
    if (name.startsWith(`${path.basename(root)}~`))
      await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

async function checkSpace({ entry, root }: Job): Promise<void> {
  const needed = entry.unpackedSize + (entry.archive?.size ?? 0);
  const { bavail, bsize } = await statfs(path.dirname(root));
  const free = bavail * bsize;
  if (free >= needed) return;
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  throw installError(
    `Installing libtorch needs ${megabytes(needed)} in ${path.dirname(root)}, and ${megabytes(free)} are free. ` +
      'Set TOKENLEARNER_CACHE to a folder with more space.',
  );
}
