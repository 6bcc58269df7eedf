import { fileURLToPath } from 'node:url';
import { types } from 'node:util';

import { messageOf, TokenLearnerError } from '../errors';
import { describe, unexpected } from '../validate';
import {
  blobSource,
  bytesOver,
  bytesSource,
  fileSource,
  streamSource,
  type BlobLike,
  type ByteSource,
} from './byte-source';
import { checkPath, withFile } from './file-io';

/**
 * A file URL: `new URL('w.safetensors', import.meta.url)`. A structural type, so that it needs neither Node's nor a browser's
 * types.
 */
export interface UrlLike {
  /** The whole URL. */
  readonly href: string;
  /** 'file:' */
  readonly protocol: string;
}

/** A file's path, or its URL (a URL object, or a string that begins with `file://`). */
export type FilePath = string | UrlLike;

/**
 * The input of a loader: a path or file URL, bytes (a Uint8Array or Buffer, or an ArrayBuffer), a Blob or File, or a stream of
 * Uint8Arrays (a Readable, a web stream, an async generator). A stream is read to its end first.
 */
export type FileInput = FilePath | Uint8Array | ArrayBuffer | BlobLike | AsyncIterable<Uint8Array>;

/** Names bytes in error messages. */
const GIVEN_BYTES = 'the given bytes';

/** An open source of bytes. */
export interface OpenInput {
  source: ByteSource;
  /** Its name in error messages. */
  name: string;
  /** Undefined for everything but files. */
  path: string | undefined;
}

function isUrl(value: unknown): value is UrlLike {
  if (typeof value !== 'object' || value === null) return false;
  const { href, protocol } = value as Partial<UrlLike>;
  return typeof href === 'string' && typeof protocol === 'string';
}

function isBlob(value: object): value is BlobLike {
  const { size, slice, arrayBuffer } = value as Partial<Record<keyof BlobLike, unknown>>;
  return typeof size === 'number' && typeof slice === 'function' && typeof arrayBuffer === 'function';
}

function isStream(value: object): value is AsyncIterable<unknown> {
  return typeof (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === 'function';
}

/** True for process.stdin, which is not touched here: reading that property opens the stream. */
function isStandardInput(stream: object): boolean {
  return (stream as { fd?: unknown }).fd === 0;
}

function pathOfUrl(href: string): string {
  try {
    return fileURLToPath(href);
  } catch (cause) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected a file URL for \`path\` but received ${describe(href)}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Checks a path or file URL and returns the path. Throws ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE. */
export function checkFilePath(value: unknown): string {
  if (isUrl(value)) return pathOfUrl(value.href);
  const path = checkPath(value);
  return /^file:\/\//i.test(path) ? pathOfUrl(path) : path;
}

/** Opens a source of bytes, calls `use` and closes the source. Errors of `use` pass through. */
export async function withInput<T>(input: unknown, use: (open: OpenInput) => Promise<T>): Promise<T> {
  const inMemory = (source: ByteSource, name: string): Promise<T> => use({ source, name, path: undefined });
  if (types.isUint8Array(input)) return inMemory(bytesSource(input, GIVEN_BYTES), GIVEN_BYTES);
  if (types.isAnyArrayBuffer(input))
    return inMemory(bytesSource(bytesOver(input, GIVEN_BYTES), GIVEN_BYTES), GIVEN_BYTES);
  if (typeof input === 'string' || isUrl(input)) {
    const path = checkFilePath(input);
    return withFile(path, (handle, size) =>
      use({ source: fileSource(handle, size, path), name: path, path }),
    );
  }
  if (typeof input === 'object' && input !== null) {
    if (isBlob(input)) return inMemory(blobSource(input, 'the given Blob'), 'the given Blob');
    if (isStream(input)) {
      const name = isStandardInput(input) ? 'standard input' : 'the given stream';
      return inMemory(await streamSource(input, name), name);
    }
  }
  throw unexpected(
    'ERR_INVALID_ARG_TYPE',
    'path',
    'a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob or an AsyncIterable of Uint8Arrays',
    input,
  );
}
