import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import requirements from '../requirements.json';
import { unreadable } from './access';
import type { Host } from './cache';
import { isOlder, parseVersion, type Version } from './version';

/** `runtime.json` beside `lib`. It marks a completed install in the cache or in the npm runtime package. */
export interface RuntimeRecord {
  version: string;
  variant: string;
  platform: string;
  arch: string;
  /** Path relative to the record -> bytes. A file of another size is damaged. */
  files?: Readonly<Record<string, number>>;
}

/** A usable libtorch. */
export interface FoundLibtorch {
  /** Absolute path of the folder with libtorch_cpu and libc10. */
  libDir: string;
  /** The folder above it. `include` lies there, if it exists. */
  root: string;
  /** Such as `2.13.0`; null if no file beside the libraries states it. */
  version: string | null;
  /** Such as `cpu` or `cu130`; null if no file states it. */
  variant: string | null;
  /** True for a CUDA build. */
  hasCuda: boolean;
}

/** Why a folder holds no usable libtorch. */
export interface Rejected {
  reason: string;
  /** The version of a libtorch that is too old; else null. */
  tooOld: string | null;
}

export type Inspection = { ok: true; found: FoundLibtorch } | ({ ok: false } & Rejected);

interface LibraryNames {
  cpu: string;
  c10: string;
  cuda: string;
}

/** The file names of libtorch's libraries on a platform. */
export function libraryNames(platform: NodeJS.Platform): LibraryNames {
  if (platform === 'win32') return { cpu: 'torch_cpu.dll', c10: 'c10.dll', cuda: 'torch_cuda.dll' };
  const extension = platform === 'darwin' ? 'dylib' : 'so';
  return { cpu: `libtorch_cpu.${extension}`, c10: `libc10.${extension}`, cuda: `libtorch_cuda.${extension}` };
}

/**
 * Looks for a libtorch in a folder: the folder of the libraries itself, a libtorch root with `lib` in it, or a Python
 * `site-packages` with `torch/lib` in it. Does not load it.
 */
export function inspectLibtorch(folder: string, host: Host): Inspection {
  try {
    return inspectFolder(folder, host);
  } catch (error) {
    return reject(unreadable(folder, error));
  }
}

function inspectFolder(folder: string, host: Host): Inspection {
  const names = libraryNames(host.platform);
  const absolute = path.resolve(folder);
  const kind = statSync(absolute, { throwIfNoEntry: false });
  if (kind === undefined) return reject(`no such folder: ${absolute}`);
  if (!kind.isDirectory()) return reject(`not a folder: ${absolute}`);
  const places = [absolute, path.join(absolute, 'lib'), path.join(absolute, 'torch', 'lib')];
  const libDir = places.find((place) => existsSync(path.join(place, names.cpu)));
  if (libDir === undefined) return reject(`no ${names.cpu} in ${absolute} or its lib folder`);
  if (!existsSync(path.join(libDir, names.c10)))
    return reject(`${names.cpu} without ${names.c10} in ${libDir}`);
  return inspectFound(libDir, names, host);
}

function inspectFound(libDir: string, names: LibraryNames, host: Host): Inspection {
  const root = path.dirname(libDir);
  // A CUDA runtime has the layout of a site-packages under its record: `torch/lib`, `nvidia/...`.
  const recordFolder = path.basename(root) === 'torch' ? path.dirname(root) : root;
  const record = readRuntimeRecord(recordFolder);
  if (record !== null) {
    if (record.platform !== host.platform || record.arch !== host.arch) {
      return reject(
        `${recordFolder} is for ${record.platform}-${record.arch}, not for ${host.platform}-${host.arch}`,
      );
    }
    const damaged = damagedFile(recordFolder, record);
    if (damaged !== null) return reject(`${recordFolder} is damaged: ${damaged}`);
  }
  const version = record === null ? readVersion(root) : parseVersion(record.version);
  if (version !== null && isOlder(version.release, requirements.libtorch)) {
    return {
      ok: false,
      reason: `${root} is libtorch ${version.release}, and ${requirements.libtorch} or later is required`,
      tooOld: version.release,
    };
  }
  const found = {
    libDir,
    root,
    version: version?.release ?? null,
    variant: record?.variant ?? version?.variant ?? null,
    hasCuda: existsSync(path.join(libDir, names.cuda)),
  };
  return { ok: true, found };
}

function reject(reason: string): Inspection {
  return { ok: false, reason, tooOld: null };
}

/** Returns null if there is no valid record. */
export function readRuntimeRecord(root: string): RuntimeRecord | null {
  try {
    const record = JSON.parse(
      readFileSync(path.join(root, 'runtime.json'), 'utf8'),
    ) as Partial<RuntimeRecord> | null;
    return isRecord(record) ? record : null;
  } catch {
    return null;
  }
}

function isRecord(record: Partial<RuntimeRecord> | null): record is RuntimeRecord {
  const { version, variant, platform, arch, files = {} } = record ?? {};
  if (typeof version !== 'string' || parseVersion(version) === null) return false;
  if (![variant, platform, arch].every((text) => typeof text === 'string' && /^\w+$/.test(text)))
    return false;
  const isTable = typeof files === 'object' && (files as unknown) !== null;
  return isTable && Object.values(files).every((size) => Number.isSafeInteger(size) && size >= 0);
}

function damagedFile(root: string, record: RuntimeRecord): string | null {
  for (const [name, size] of Object.entries(record.files ?? {})) {
    const actual = statSync(path.join(root, name), { throwIfNoEntry: false })?.size;
    if (actual !== size) return `${name} has ${actual ?? 'no'} bytes instead of ${size}`;
  }
  return null;
}

/** A Python wheel states its version in `version.py`, the official archive in `build-version`. */
function readVersion(root: string): Version | null {
  const python = /^__version__\s*=\s*['"]([^'"]+)['"]/m.exec(readText(path.join(root, 'version.py')));
  return parseVersion(python?.[1] ?? readText(path.join(root, 'build-version')));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
