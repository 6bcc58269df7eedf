import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../errors';
import { makeFolders } from '../folders';
import { fileSha256 } from './file-hash';
import { installError } from './install-error';
import type { ManifestEntry, PinnedWheel } from './manifest';
import type { ObtainOptions } from './obtain';
import { pipDownloadAll } from './pip';
import { nvidiaRequirements } from './wheel-metadata';

/** How to obtain the wheels of a CUDA build. */
export interface ObtainWheelsOptions extends Omit<ObtainOptions, 'host' | 'onProgress'> {
  /** For tests. */
  pipAll?: typeof pipDownloadAll;
}

/**
 * Downloads a CUDA build through pip: libtorch's wheel and the NVIDIA wheels that it needs. If hashes are pinned, every file must
 * have its pinned hash, and files from an earlier attempt are reused.
 *
 * @returns absolute paths, libtorch's own first.
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if a download fails or a file is not the expected one.
 */
export async function obtainWheels(options: ObtainWheelsOptions): Promise<string[]> {
  const { entry, folder, title, log } = options;
  const pins = entry.wheels ?? [];
  await makeFolders(folder, 0o755);
  if (pins.length === 0) log(`No hashes of libtorch ${title} are pinned: pip checks what its index states.`);
  const torch = await obtainTorch(options, pins);
  const rest = await obtainNvidia(torch, options, pins);
  return [torch, ...rest];
}

/**
 * Finds the wheels of a CUDA build in a folder of the user.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if one is missing or is not the expected one.
 */
export async function checkGivenWheels(folder: string, entry: ManifestEntry): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.whl'));
  const torch = names.filter((name) => /^torch-\d/.test(name));
  if (torch.length !== 1) {
    throw installError(`Expected one wheel of torch in ${folder} but found ${torch.length}`);
  }
  const pins = entry.wheels ?? [];
  const missing = pins.filter(({ file }) => !names.includes(file));
  if (missing.length > 0) {
    throw installError(`${folder} lacks ${missing.map(({ file }) => file).join(', ')}`);
  }
  const chosen = pins.length > 0 ? pins.map(({ file }) => file) : [...torch, ...names.filter(isNvidia)];
  const files = chosen.map((name) => path.join(folder, name));
  for (const file of files) {
    const reason = await whyNotPinned(file, pins);
    if (reason !== null) throw installError(reason);
  }
  return files;
}

function isNvidia(name: string): boolean {
  return name.startsWith('nvidia_');
}

async function obtainTorch(options: ObtainWheelsOptions, pins: readonly PinnedWheel[]): Promise<string> {
  const { entry, folder, pip, log, title } = options;
  const pinned = pins.find(({ file }) => /^torch-\d/.test(file));
  if (pinned !== undefined) {
    const earlier = path.join(folder, pinned.file);
    if ((await fileSha256(earlier)) === pinned.sha256) return earlier;
  }
  log(`Asking pip for ${entry.pip.requirement}`);
  const { wheel, reason } = await pip(entry.pip, folder, true);
  if (wheel === null) {
    throw installError(
      `libtorch ${title} is available only through pip, and pip downloaded none: ${reason}\n` +
        'Set TOKENLEARNER_LIBTORCH to a libtorch or an installed Python torch instead.',
    );
  }
  await demandPinned(wheel, pins);
  return wheel;
}

async function obtainNvidia(
  torch: string,
  options: ObtainWheelsOptions,
  pins: readonly PinnedWheel[],
): Promise<string[]> {
  const { entry, title, log, pipAll = pipDownloadAll } = options;
  const folder = path.join(options.folder, 'nvidia');
  // Without pins, all wheels in it are taken: those of an earlier attempt may be of other versions.
  if (pins.length === 0) await rm(folder, { recursive: true, force: true });
  await makeFolders(folder, 0o755);
  const companions = pins.filter(({ file }) => file !== path.basename(torch));
  const requirements =
    pins.length > 0
      ? await missingRequirements(folder, companions)
      : await nvidiaRequirements(torch).catch((error: unknown) => {
          throw installError(`${torch} is not a wheel: ${messageOf(error)}`, error);
        });
  if (requirements.length > 0) {
    log(`Asking pip for ${requirements.length} of NVIDIA's packages`);
    // Pinned versions are complete; for others pip resolves the dependencies.
    const reason = await pipAll(requirements, folder, entry.pip.index, pins.length === 0);
    if (reason !== null)
      throw installError(`pip could not download everything that libtorch ${title} needs: ${reason}`);
  }
  const names = pins.length > 0 ? companions.map(({ file }) => file) : await readdir(folder);
  const files = names.filter((name) => name.endsWith('.whl')).map((name) => path.join(folder, name));
  for (const file of files) await demandPinned(file, pins);
  return files;
}

/** `name==version` of the wheels that are missing or damaged. */
async function missingRequirements(folder: string, pins: readonly PinnedWheel[]): Promise<string[]> {
  const requirements: string[] = [];
  for (const { file, sha256 } of pins) {
    if ((await fileSha256(path.join(folder, file))) === sha256) continue;
    const [name = '', version = ''] = file.split('-');
    requirements.push(`${name.replaceAll('_', '-')}==${version}`);
  }
  return requirements;
}

/** Why a file is refused, if there are pins: it has none, or another hash. Null if it is not. */
async function whyNotPinned(file: string, pins: readonly PinnedWheel[]): Promise<string | null> {
  if (pins.length === 0) return null;
  const name = path.basename(file);
  const pin = pins.find((each) => each.file === name);
  if (pin === undefined) return `${name} is not one of the pinned wheels`;
  const actual = await fileSha256(file);
  if (actual === pin.sha256) return null;
  if (actual === null) return `${name} is missing`;
  return `${name} is not the expected file: its sha256 is ${actual}, expected ${pin.sha256}`;
}

/** Deletes a file of pip's that is refused, so that it is not found again. */
async function demandPinned(file: string, pins: readonly PinnedWheel[]): Promise<void> {
  const reason = await whyNotPinned(file, pins);
  if (reason === null) return;
  await rm(file, { force: true });
  throw installError(`pip's download was refused and deleted: ${reason}`);
}
