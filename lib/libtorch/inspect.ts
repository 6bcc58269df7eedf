import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { unreadable } from './access';
import type { Host } from './cache';
import { manifest } from './manifest';
import { compareVersions, parseVersion, type TorchVersion } from './version';

/** The mark of a completed install in the cache or in the npm runtime package: `runtime.json` beside `lib`. */
export interface RuntimeRecord {
  version: string;
  variant: string;
  platform: string;
  arch: string;
  /** Path relative to the record -> bytes; a file of another size is damaged. */
  files?: Readonly<Record<string, number>>;
}

/** A folder that holds a libtorch which can be used. */
export interface FoundLibtorch {
  /** Absolute path of the folder with libtorch_cpu and libc10. */
  libDir: string;
  /** The folder above it, where `include` lies if there is one. */
  root: string;
  /** Such as `2.13.0`; null when nothing beside the libraries says it. */
  version: string | null;
  /** Such as `cpu` or `cu130`; null when nothing says it. */
  variant: string | null;
  /** Whether it is a CUDA build. */
  hasCuda: boolean;
}

/** Why a folder does not do. */
export interface Rejected {
  reason: string;
  /** Set when there is a libtorch whose version is too old. */
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
 * `site-packages` with `torch/lib` in it. Loads nothing.
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
  // A CUDA runtime lies under its record as in a site-packages: `torch/lib`, `nvidia/...`.
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
  const minimum = parseVersion(manifest.minimum);
  if (version !== null && minimum !== null && compareVersions(version, minimum) < 0) {
    return {
      ok: false,
      reason: `${root} is libtorch ${version.release}, and ${manifest.minimum} or later is needed`,
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

/** null when there is none, or it cannot be read. */
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

/** A Python wheel says its version in `version.py`, the official archive in `build-version`. */
function readVersion(root: string): TorchVersion | null {
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
