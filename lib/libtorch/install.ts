import { existsSync } from 'node:fs';
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolders } from '../folders';
import { cacheFolder, downloadsFolder, type Host, NO_CACHE, runtimeFolder, thisHost } from './cache';
import { checkSpace } from './disk-space';
import { type FoundLibtorch, inspectLibtorch, readRuntimeRecord, type RuntimeRecord } from './inspect';
import { asInstallError, installError } from './install-error';
import { lockOf, withLock } from './lock';
import { entryVersion, type Manifest, manifest, manifestEntry, type ManifestEntry } from './manifest';
import { checkGivenArchive, obtainArchive } from './obtain';
import { checkGivenWheels, obtainWheels } from './obtain-wheels';
import { deleteLeftovers, deleteRuntime, demandPlace, demandReplaceable, temporaryName } from './owned';
import type { pipDownloadAll } from './pip';
import { pipDownload } from './pip';
import type { OnProgress } from './progress';
import { distrustPath } from './trust';
import { destination, siteDestination, unpackLibtorch } from './unpack';

const CACHE_REMEDY = 'Set TOKENLEARNER_CACHE to a folder that this user can write.';

/** How to install a libtorch. */
export interface InstallOptions {
  /** @default 'cpu' */
  variant?: string;
  /**
   * A wheel or official archive on disk, or a folder with the wheels of a CUDA build, instead of a download. A file with the
   * pinned name must have the pinned hash; any other must have the pinned version.
   */
  fromFile?: string | undefined;
  /**
   * The folder to install into, instead of one in the user's cache. It must be empty, not exist, or hold only a libtorch that
   * was installed before.
   */
  folder?: string | undefined;
  /** Receives messages about the progress of the install. */
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
  /** The folder to install into. */
  root: string;
  /** True if the user named the folder. Then only files that we installed are deleted. */
  isNamed: boolean;
}

/**
 * Installs the pinned libtorch of a variant: its libraries, the headers of its stable ABI, its licences. Returns immediately if
 * a complete one is already installed, also where `fromFile` names another. The source is `fromFile`, or pip, or PyTorch's download site. Its sha256 is checked; if no
 * hash is known, only pip may download it. The folder appears complete or not at all. Several processes may install at the same
 * time.
 *
 * `TOKENLEARNER_LIBTORCH_MIRROR` replaces the scheme and host of the download site.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_VALUE for an unknown variant; ERR_LIBTORCH_INSTALL if the install fails. The message
 * says what was tried; `cause` has the system's error, if there was one.
 */
export async function installLibtorch(options: InstallOptions = {}): Promise<FoundLibtorch> {
  try {
    return await findOrInstall(await jobOf(options));
  } catch (error) {
    throw asInstallError('Installing libtorch failed', error);
  }
}

async function jobOf(options: InstallOptions): Promise<Job> {
  const { variant = 'cpu', host = thisHost(), log = () => undefined } = options;
  const pinned = options.manifest ?? manifest;
  const entry = manifestEntry(variant, `${host.platform}-${host.arch}`, pinned);
  const version = entryVersion(entry, pinned);
  const { folder } = options;
  const isNamed = folder !== undefined;
  const root = isNamed ? await namedFolder(folder) : cachedFolder(host, version, variant);
  const { onProgress, fromFile, pip = pipDownload, pipAll } = options;
  return { variant, log, host, pip, pipAll, onProgress, fromFile, entry, version, root, isNamed };
}

async function findOrInstall(job: Job): Promise<FoundLibtorch> {
  const { root, isNamed, fromFile, log } = job;
  if (fromFile !== undefined && !existsSync(fromFile)) throw installError(`No such file: ${fromFile}`);
  const existing = alreadyInstalled(job);
  if (existing !== null) return existing;
  if (isNamed) {
    await demandPlace(root);
    await demandReplaceable(root);
  }
  const onWait = () => {
    log(`Another process is installing ${root}; waiting for it.`);
  };
  const remedy = isNamed ? undefined : CACHE_REMEDY;
  return withLock(lockOf(root), async () => alreadyInstalled(job) ?? (await install(job)), {
    onWait,
    remedy,
  });
}

/** The wanted libtorch, where it is there already. Says so if another file was given for it. */
function alreadyInstalled(job: Job): FoundLibtorch | null {
  const { root, fromFile, version, variant, log } = job;
  const found = inspectWanted(job);
  if (found !== null && fromFile !== undefined)
    log(
      `libtorch ${version} (${variant}) is already installed in ${root}; remove it first to install ${fromFile}`,
    );
  return found;
}

/** Resolves links, so that the install does not replace them. */
async function namedFolder(folder: string): Promise<string> {
  const absolute = path.resolve(folder);
  return realpath(absolute).catch(() => absolute);
}

function cachedFolder(host: Host, version: string, variant: string): string {
  const cache = demandCache(host);
  const folder = runtimeFolder(host, version, variant) ?? cache;
  const reason = distrustPath(cache, folder);
  if (reason !== null) throw installError(`Nothing is installed into the cache: ${reason}`);
  return folder;
}

function demandCache(host: Host): string {
  const cache = cacheFolder(host);
  if (cache === null) throw installError(`Expected a cache folder but found ${NO_CACHE}`);
  return cache;
}

/** The libtorch in a runtime's folder; null if it is missing, incomplete or damaged. */
export function inspectInstalled(root: string, host: Host): FoundLibtorch | null {
  if (readRuntimeRecord(root) === null) return null;
  const inspection = inspectLibtorch(root, host);
  return inspection.ok ? inspection.found : null;
}

function inspectWanted({ root, host, version, variant }: Job): FoundLibtorch | null {
  const found = inspectInstalled(root, host);
  return found?.version === version && found.variant === variant ? found : null;
}

async function install(job: Job): Promise<FoundLibtorch> {
  const downloads = downloadFolder(job);
  if (downloads === null) return obtainAndUnpack(job, null);
  // Installs into other folders download to the same place.
  const onWait = () => {
    job.log(`Another process is downloading to ${downloads}; waiting for it.`);
  };
  return withLock(lockOf(downloads), () => obtainAndUnpack(job, downloads), { onWait, remedy: CACHE_REMEDY });
}

async function obtainAndUnpack(job: Job, downloads: string | null): Promise<FoundLibtorch> {
  const { root, host, log, entry, isNamed } = job;
  await deleteLeftovers(root);
  await checkSpace(entry, path.dirname(root), downloads);
  const archives = await obtainArchives(job, downloads);
  const temporary = temporaryName(root);
  try {
    log(
      `Unpacking ${path.basename(archives[0] ?? '')}${archives.length > 1 ? ` and ${archives.length - 1} more` : ''}`,
    );
    const files = await unpackAll(archives, temporary, job);
    checkUnpacked(temporary, archives[0] ?? '', job);
    const { version, variant } = job;
    const record: RuntimeRecord = { version, variant, platform: host.platform, arch: host.arch, files };
    await writeFile(path.join(temporary, 'runtime.json'), `${JSON.stringify(record, null, 2)}\n`, {
      mode: 0o644,
    });
    await deleteRuntime(root, isNamed);
    await rename(temporary, root);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  if (downloads !== null) await rm(downloads, { recursive: true, force: true });
  const installed = inspectWanted(job);
  if (installed === null) throw installError(`${root} was changed while it was being installed`);
  return installed;
}

/** The folder for downloads; null if nothing is downloaded. */
function downloadFolder({ host, fromFile, version, variant }: Job): string | null {
  if (fromFile !== undefined) return null;
  const folder = path.join(downloadsFolder(host) ?? demandCache(host), `${version}-${variant}`);
  const reason = distrustPath(demandCache(host), folder);
  if (reason !== null) throw installError(`Nothing is downloaded into the cache: ${reason}`);
  return folder;
}

async function obtainArchives(job: Job, folder: string | null): Promise<string[]> {
  const { entry, fromFile, host, version, variant, pip, pipAll, log, onProgress } = job;
  if (fromFile !== undefined || folder === null) return givenArchives(fromFile ?? '', entry);
  const title = `${version} (${variant}) for ${host.platform}-${host.arch}`;
  if (entry.wheels !== undefined) {
    return obtainWheels({ entry, title, folder, pip, log, ...(pipAll && { pipAll }) });
  }
  return [await obtainArchive({ host, entry, title, folder, pip, log, onProgress })];
}

async function givenArchives(fromFile: string, entry: ManifestEntry): Promise<string[]> {
  const isFolder = (await stat(fromFile).catch(() => null))?.isDirectory() === true;
  if (!isFolder && entry.wheels !== undefined && fromFile.endsWith('.whl')) {
    throw installError(
      `${fromFile} alone is not enough: a CUDA build also needs NVIDIA's wheels. Name a folder with all of them.`,
    );
  }
  return isFolder ? checkGivenWheels(fromFile, entry) : [await checkGivenArchive(fromFile, entry.archive)];
}

/** A CUDA build in several wheels keeps their folders; anything else is unpacked flat. */
async function unpackAll(archives: string[], folder: string, job: Job): Promise<Record<string, number>> {
  const layout = archives.length > 1 ? siteDestination : destination;
  const files: Record<string, number> = {};
  await makeFolders(folder, 0o755);
  for (const archive of archives) {
    Object.assign(files, await unpackLibtorch(archive, folder, job.onProgress, layout));
  }
  return files;
}

/** Checks that the unpacked libtorch is the requested one, whatever the source of the archive. */
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
