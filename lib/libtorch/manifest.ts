import { TokenLearnerError } from '../errors';
import pinned from './manifest.json';

/** A file that can be downloaded without pip. Its hash was computed from the real file; there is no entry without one. */
export interface PinnedArchive {
  url: string;
  /** Bytes. */
  size: number;
  /** Lower-case hexadecimal. */
  sha256: string;
}

/** A wheel that pip downloads, with its expected size and hash. The hash was computed from the real file. */
export interface PinnedWheel {
  /** Its file name. */
  file: string;
  /** Bytes. */
  size: number;
  /** Lower-case hexadecimal. */
  sha256: string;
}

/** The arguments for pip. */
export interface PipSource {
  requirement: string;
  /** Wheel platform tags, so that any Python asks for the same file. */
  platforms: readonly string[];
  /** PyTorch's own index, for when pip's configured index has no such wheel. */
  index: string;
}

/** The source of one variant of libtorch on one platform. */
export interface ManifestEntry {
  /** @default the manifest's */
  version?: string;
  pip: PipSource;
  /** null: no hash is known for this platform, so only pip, which checks its index's hashes, may download it. */
  archive: PinnedArchive | null;
  /**
   * Set for CUDA builds. Their wheel needs NVIDIA's wheels, which its metadata names. These are the hashes of all of them,
   * libtorch's own included. Empty if none is known: then only pip checks them.
   */
  wheels?: readonly PinnedWheel[];
  /** Bytes on disk, rounded up; for the check of free space. */
  unpackedSize: number;
}

/** The pinned libtorch. */
export interface Manifest {
  /** The version that the addon is built and tested against. The oldest usable version is in requirements.json. */
  version: string;
  /** variant -> `<platform>-<arch>` -> entry */
  variants: Readonly<Record<string, Readonly<Record<string, ManifestEntry>>>>;
}

export const manifest: Manifest = pinned;

/** The version of an entry. */
export function entryVersion(entry: ManifestEntry, from: Manifest = manifest): string {
  return entry.version ?? from.version;
}

/** The error for a variant that does not exist. */
export function unknownVariant(variant: string, known: readonly string[]): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected one of ${known.join(', ')} for \`variant\` but received ${variant}`,
  );
}

/**
 * Returns the manifest's entry for a variant on a platform.
 *
 * @throws TokenLearnerError `ERR_INVALID_ARG_VALUE` if there is none; the message lists the existing ones.
 */
export function manifestEntry(variant: string, target: string, from: Manifest = manifest): ManifestEntry {
  const targets = from.variants[variant];
  if (targets === undefined) throw unknownVariant(variant, Object.keys(from.variants));
  const entry = targets[target];
  if (entry === undefined) {
    const known = Object.keys(targets).join(', ');
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `There is no ${variant} libtorch for ${target}, only for ${known}. Set TOKENLEARNER_LIBTORCH to one of your own.`,
    );
  }
  return entry;
}
