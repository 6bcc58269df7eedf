import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, type Host, runtimeFolder, thisHost } from './cache';
import { checkSpace } from './disk-space';
import { type FoundLibtorch, inspectLibtorch, readRuntimeRecord, type RuntimeRecord } from './inspect';
import { installError } from './install-error';
import { withLock } from './lock';
import { entryVersion, type Manifest, manifest, manifestEntry, type ManifestEntry } from './manifest';
import { checkGivenArchive, obtainArchive } from './obtain';
import { checkGivenWheels, obtainWheels } from './obtain-wheels';
import type { pipDownloadAll } from './pip';
import { pipDownload } from './pip';
import type { OnProgress } from './progress';
import { destination, siteDestination, unpackLibtorch } from './unpack';

/** How a libtorch is to be installed. */
export interface InstallOptions {
  /** @default 'cpu' */
  variant?: string;
  /**
   * A wheel or official archive on disk, or a folder with the wheels of a CUDA build, instead of fetching. One with the
   * pinned file's name must have its hash; any other must be of the pinned version.
   */
  fromFile?: string | undefined;
  /** The folder that becomes the runtime, instead of one in the user's cache. Must be empty, a runtime, or not exist. */
  folder?: string | undefined;
  /** Told in words what is being done. */
  log?: (line: string) => void;
  onProgress?: OnProgress | undefined;
  /** For tests. */
  host?: Host;
  /** For tests. */
  manifest?: Manifest;
  /** For tests. */
  pip?: typeof pipDownload;
  /** For tests. */
  pipAll?: typeof pipDownloadAll;
}

interface Job extends Required<Pick<InstallOptions, 'variant' | 'log' | 'host' | 'pip'>> {
  onProgress: OnProgress | undefined;
  fromFile: string | undefined;
  pipAll: typeof pipDownloadAll | undefined;
  entry: ManifestEntry;
  version: string;
  /** The folder that is to be filled. */
  root: string;
}

/**
 * Installs the pinned libtorch of a variant: its libraries, the headers of its stable ABI, its licences. Returns at once
 * when it is there and whole. It comes from `fromFile`, or pip, or PyTorch's download site, and its sha256 is checked;
 * where no hash is known, pip alone may fetch it. The folder appears complete or not at all, and any number of processes
 * may install at once.
 *
 * `TOKENLEARNER_LIBTORCH_MIRROR` replaces the scheme and host of the download site.
 *
 * @throws TokenLearnerError when it cannot be had; the message says what was tried.
 */
export async function installLibtorch(options: InstallOptions = {}): Promise<FoundLibtorch> {
  const { variant = 'cpu', host = thisHost(), log = () => undefined } = options;
  const pinned = options.manifest ?? manifest;
  const entry = manifestEntry(variant, `${host.platform}-${host.arch}`, pinned);
  const version = entryVersion(entry, pinned);
  const root =
    options.folder === undefined ? runtimeFolder(host, version, variant) : path.resolve(options.folder);
  const { onProgress, fromFile, pip = pipDownload, pipAll } = options;
  const job: Job = { variant, log, host, pip, pipAll, onProgress, fromFile, entry, version, root };
  const existing = inspectWanted(job);
  if (existing !== null) return existing;
  if (options.folder !== undefined) await checkReplaceable(root);
  const onWait = () => {
    log(`Another process is installing ${root}; waiting for it.`);
  };
  return withLock(`${root}.lock`, async () => inspectWanted(job) ?? (await install(job)), { onWait });
}

/** The libtorch in a runtime's folder; null when it is missing, incomplete or damaged. */
export function inspectInstalled(root: string, host: Host): FoundLibtorch | null {
  if (readRuntimeRecord(root) === null) return null;
  const inspection = inspectLibtorch(root, host);
  return inspection.ok ? inspection.found : null;
}

function inspectWanted({ root, host, version, variant }: Job): FoundLibtorch | null {
  const found = inspectInstalled(root, host);
  return found?.version === version && found.variant === variant ? found : null;
}

/** What is there will be deleted: that may be a runtime, but never anything else. */
async function checkReplaceable(root: string): Promise<void> {
  const names = await readdir(root).catch((error: unknown): string[] => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw installError(`${root} cannot be used: ${(error as Error).message}`, error);
  });
  if (names.length === 0 || names.includes('runtime.json')) return;
  throw installError(
    `${root} is neither empty nor a libtorch that was installed before; name another folder`,
  );
}

async function install(job: Job): Promise<FoundLibtorch> {
  const { root, host, log, entry } = job;
  await removeLeftovers(root);
  const downloads = path.join(cacheFolder(host), 'downloads', `${job.version}-${job.variant}`);
  await checkSpace(entry, path.dirname(root), job.fromFile === undefined ? downloads : null);
  const archives = await bringArchives(job, downloads);
  const temporary = `${root}~${randomUUID()}`;
  try {
    log(
      `Unpacking ${path.basename(archives[0] ?? '')}${archives.length > 1 ? ` and ${archives.length - 1} more` : ''}`,
    );
    const files = await unpackAll(archives, temporary, job);
    checkUnpacked(temporary, archives[0] ?? '', job);
    const { version, variant } = job;
    const record: RuntimeRecord = { version, variant, platform: host.platform, arch: host.arch, files };
    await writeFile(path.join(temporary, 'runtime.json'), `${JSON.stringify(record, null, 2)}\n`);
    await rm(root, { recursive: true, force: true });
    await rename(temporary, root);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  await rm(downloads, { recursive: true, force: true });
  const installed = inspectWanted(job);
  if (installed === null) throw installError(`${root} was changed while it was being installed`);
  return installed;
}

async function bringArchives(job: Job, folder: string): Promise<string[]> {
  const { entry, fromFile, host, version, variant, pip, pipAll, log, onProgress } = job;
  if (fromFile !== undefined) {
    const isFolder = (await stat(fromFile).catch(() => null))?.isDirectory() === true;
    if (!isFolder && entry.wheels !== undefined && fromFile.endsWith('.whl')) {
      throw installError(
        `${fromFile} alone is not enough: a CUDA build also needs NVIDIA's wheels. Name a folder with all of them.`,
      );
    }
    return isFolder ? checkGivenWheels(fromFile, entry) : [await checkGivenArchive(fromFile, entry.archive)];
  }
  const title = `${version} (${variant}) for ${host.platform}-${host.arch}`;
  if (entry.wheels !== undefined) {
    return obtainWheels({ entry, title, folder, pip, log, ...(pipAll && { pipAll }) });
  }
  return [await obtainArchive({ host, entry, title, folder, pip, log, onProgress })];
}

/** A CUDA build in several wheels keeps their folders; anything else lies flat. */
async function unpackAll(archives: string[], folder: string, job: Job): Promise<Record<string, number>> {
  const layout = archives.length > 1 ? siteDestination : destination;
  const files: Record<string, number> = {};
  await mkdir(folder, { recursive: true });
  for (const archive of archives) {
    Object.assign(files, await unpackLibtorch(archive, folder, job.onProgress, layout));
  }
  return files;
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
