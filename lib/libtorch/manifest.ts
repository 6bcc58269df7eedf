import { TokenLearnerError } from '../errors';
import pinned from './manifest.json';

/** A file that can be fetched without pip. Its hash was computed from the real file; there is no entry without one. */
export interface PinnedArchive {
  url: string;
  /** Bytes. */
  size: number;
  /** Lower-case hexadecimal. */
  sha256: string;
}

/** A wheel that pip brings, and what it must be. Its hash was computed from the real file. */
export interface PinnedWheel {
  /** Its file name. */
  file: string;
  /** Bytes. */
  size: number;
  /** Lower-case hexadecimal. */
  sha256: string;
}

/** What pip is asked for. */
export interface PipSource {
  requirement: string;
  /** Wheel platform tags, so that any Python asks for the same file. */
  platforms: readonly string[];
  /** PyTorch's own index, asked when pip's configured one has no such wheel. */
  index: string;
}

/** How one variant of libtorch is had on one platform. */
export interface ManifestEntry {
  /** Where it is not the manifest's. */
  version?: string;
  pip: PipSource;
  /** null: no hash is known for this platform, so only pip, which checks its index's hashes, may fetch it. */
  archive: PinnedArchive | null;
  /**
   * Set for the CUDA builds, whose wheel needs NVIDIA's, which its metadata names: the hashes of them all, libtorch's own
   * included; empty where none is known, so that they are pip's to vouch for.
   */
  wheels?: readonly PinnedWheel[];
  /** Bytes on disk, rounded up; for the check of free space. */
  unpackedSize: number;
}

/** The pinned libtorch. */
export interface Manifest {
  /** The version that is built and tested against. */
  version: string;
  /** The oldest version whose stable ABI has what the addon needs. */
  minimum: string;
  /** variant -> `<platform>-<arch>` -> entry */
  variants: Readonly<Record<string, Readonly<Record<string, ManifestEntry>>>>;
}

export const manifest: Manifest = pinned;

/** The version that an entry stands for. */
export function entryVersion(entry: ManifestEntry, from: Manifest = manifest): string {
  return entry.version ?? from.version;
}

/**
 * The manifest's entry for a variant on a platform.
 *
 * @throws TokenLearnerError `ERR_INVALID_ARG_VALUE` when there is none, naming those there are.
 */
export function manifestEntry(variant: string, target: string, from: Manifest = manifest): ManifestEntry {
  const targets = from.variants[variant];
  if (targets === undefined) {
    const known = Object.keys(from.variants).join(', ');
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected one of ${known} for \`variant\` but received ${variant}`,
    );
  }
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
