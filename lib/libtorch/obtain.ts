import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, type TokenLearnerError } from '../errors';
import { makeFolders } from '../folders';
import type { Host } from './cache';
import { downloadFile } from './download';
import { fileSha256 } from './file-hash';
import { installError } from './install-error';
import type { ManifestEntry, PinnedArchive } from './manifest';
import type { pipDownload } from './pip';
import type { OnProgress } from './progress';

/** How to obtain a wheel or archive. */
export interface ObtainOptions {
  host: Host;
  entry: ManifestEntry;
  /** For messages: `2.13.0 (cpu) for linux-x64`. */
  title: string;
  /** The folder for the file. */
  folder: string;
  pip: typeof pipDownload;
  log: (line: string) => void;
  onProgress: OnProgress | undefined;
}

/**
 * Obtains libtorch's wheel: from an earlier download, then pip, then PyTorch's download site. A file that should have a pinned
 * hash but does not is deleted.
 *
 * @returns its absolute path.
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if every source fails.
 */
export async function obtainArchive(options: ObtainOptions): Promise<string> {
  const { entry, folder, log, host } = options;
  const { archive } = entry;
  await makeFolders(folder, 0o755);
  if (archive !== null && (await hasHash(targetOf(archive, folder), archive.sha256))) {
    return targetOf(archive, folder);
  }
  const byPip = await askPip(options);
  if (byPip.wheel !== null) return byPip.wheel;
  log(`pip downloaded no usable wheel: ${byPip.reason}`);
  if (archive === null) {
    throw installError(
      `libtorch ${options.title} is available only through pip, since no hash of it is known, and pip downloaded none: ` +
        `${byPip.reason}\nInstall pip (on Debian and Ubuntu: apt-get install python3-pip), set up with an index that has torch, or set TOKENLEARNER_LIBTORCH to a libtorch or an installed Python torch instead.`,
    );
  }
  const url = mirrored(archive.url, host.env.TOKENLEARNER_LIBTORCH_MIRROR);
  const target = targetOf(archive, folder);
  log(`Downloading ${url}`);
  try {
    await downloadFile({ ...archive, url, target, onProgress: options.onProgress });
  } catch (error) {
    throw downloadFailed(options.title, byPip.reason, error);
  }
  return target;
}

function downloadFailed(title: string, pipReason: string, cause: unknown): TokenLearnerError {
  const lines = [
    `libtorch ${title} could not be downloaded:`,
    `  - pip: ${pipReason}`,
    `  - download: ${messageOf(cause)}`,
    'Any one of these fixes it:',
    '  install pip (on Debian and Ubuntu: apt-get install python3-pip), set up with an index that has torch',
    '  name your proxy in HTTPS_PROXY, or a mirror of the download site in TOKENLEARNER_LIBTORCH_MIRROR',
    '  name a libtorch, or an installed Python torch, in TOKENLEARNER_LIBTORCH',
  ];
  return installError(lines.join('\n'), cause);
}

/** Asks pip. A wheel that is not the pinned file, such as one for another Python, is checked only by pip. */
async function askPip({ entry, folder, pip, log }: ObtainOptions): ReturnType<typeof pipDownload> {
  const { archive } = entry;
  log(`Asking pip for ${entry.pip.requirement}`);
  const result = await pip(entry.pip, folder, archive === null);
  if (result.wheel === null) return result;
  const name = path.basename(result.wheel);
  if (archive === null || name !== archiveName(archive)) {
    log(`No hash of ${name} is pinned; pip has checked it against its index.`);
    return result;
  }
  if (await hasHash(result.wheel, archive.sha256)) return result;
  await rm(result.wheel, { force: true });
  return { wheel: null, reason: `its ${name} has another sha256 than the pinned one and was deleted` };
}

/**
 * Checks a file that the user named. A file with the pinned name must be the pinned file.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if it does not exist or is another file.
 */
export async function checkGivenArchive(file: string, archive: PinnedArchive | null): Promise<string> {
  const found = await stat(file).catch(() => null);
  if (found?.isFile() !== true) throw installError(`No such file: ${file}`);
  if (archive === null || path.basename(file) !== archiveName(archive)) return file;
  if (await hasHash(file, archive.sha256)) return file;
  throw installError(`${file} is not the expected file: its sha256 is not ${archive.sha256}`);
}

function targetOf(archive: PinnedArchive, folder: string): string {
  return path.join(folder, archiveName(archive));
}

function archiveName({ url }: PinnedArchive): string {
  return decodeURIComponent(path.posix.basename(new URL(url).pathname));
}

function mirrored(url: string, mirror: string | undefined): string {
  if (!mirror) return url;
  if (!URL.canParse(mirror) || !/^https?:/i.test(mirror))
    throw installError(
      `TOKENLEARNER_LIBTORCH_MIRROR is no URL that begins with http:// or https://: ${mirror}`,
    );
  return mirror.replace(/\/+$/, '') + new URL(url).pathname;
}

async function hasHash(file: string, sha256: string): Promise<boolean> {
  return (await fileSha256(file)) === sha256;
}
