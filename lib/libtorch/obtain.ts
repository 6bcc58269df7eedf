import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { TokenLearnerError } from '../errors';
import type { Host } from './cache';
import { downloadFile } from './download';
import { fileSha256 } from './file-hash';
import { installError } from './install-error';
import type { ManifestEntry, PinnedArchive } from './manifest';
import type { pipDownload } from './pip';
import type { OnProgress } from './progress';

/** A wheel or archive that is to be had. */
export interface ObtainOptions {
  host: Host;
  entry: ManifestEntry;
  /** What it is, for messages: `2.13.0 (cpu) for linux-x64`. */
  title: string;
  /** The folder that the file comes into. */
  folder: string;
  pip: typeof pipDownload;
  log: (line: string) => void;
  onProgress: OnProgress | undefined;
}

/**
 * Brings libtorch's wheel: an earlier fetch of it, then pip, then PyTorch's download site. A file with a pinned hash is
 * refused and deleted when its hash differs.
 *
 * @returns its absolute path.
 * @throws TokenLearnerError when nobody has it.
 */
export async function obtainArchive(options: ObtainOptions): Promise<string> {
  const { entry, folder, log, host } = options;
  const { archive } = entry;
  await mkdir(folder, { recursive: true, mode: 0o755 });
  if (archive !== null && (await hasHash(targetOf(archive, folder), archive.sha256))) {
    return targetOf(archive, folder);
  }
  const byPip = await askPip(options);
  if (byPip.wheel !== null) return byPip.wheel;
  log(`pip brought no usable wheel: ${byPip.reason}`);
  if (archive === null) {
    throw installError(
      `libtorch ${options.title} can only come through pip, since no hash of it is known, and pip brought none: ` +
        `${byPip.reason}\nSet TOKENLEARNER_LIBTORCH to a libtorch or an installed Python torch instead.`,
    );
  }
  const url = mirrored(archive.url, host.env.TOKENLEARNER_LIBTORCH_MIRROR);
  const target = targetOf(archive, folder);
  log(`Downloading ${url}`);
  try {
    await downloadFile({ ...archive, url, target, onProgress: options.onProgress });
  } catch (error) {
    throw nowhere(options.title, byPip.reason, error);
  }
  return target;
}

function nowhere(title: string, pipReason: string, cause: unknown): TokenLearnerError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const lines = [
    `libtorch ${title} could not be had:`,
    `  - pip: ${pipReason}`,
    `  - download: ${reason}`,
    'Any one of these mends it:',
    '  install pip (on Debian and Ubuntu: apt-get install python3-pip), set up with an index that has torch',
    '  name your proxy in HTTPS_PROXY, or a mirror of the download site in TOKENLEARNER_LIBTORCH_MIRROR',
    '  name a libtorch, or an installed Python torch, in TOKENLEARNER_LIBTORCH',
  ];
  return installError(lines.join('\n'), cause);
}

/** A wheel that is not the pinned file, such as one for another Python, is pip's to vouch for. */
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
 * Checks a file that the user names: one with the pinned file's name must be the pinned file.
 *
 * @throws TokenLearnerError when it does not exist or is another.
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
  return mirror ? mirror.replace(/\/+$/, '') + new URL(url).pathname : url;
}

async function hasHash(file: string, sha256: string): Promise<boolean> {
  return (await fileSha256(file)) === sha256;
}
