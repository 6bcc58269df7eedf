import { fileURLToPath } from 'node:url';
import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { unexpected } from '../validate';
import {
  blobSource,
  bytesSource,
  fileSource,
  streamSource,
  type BlobLike,
  type ByteSource,
} from './byte-source';
import { checkPath, withFile } from './file-io';
import { messageOf } from './format-error';

/** A file URL: `new URL('w.safetensors', import.meta.url)`. Structural, so that it needs no types of Node's or of a browser's. */
export interface UrlLike {
  /** The whole URL. */
  readonly href: string;
  /** 'file:' */
  readonly protocol: string;
}

/** Where a file is: its path, or its URL (a URL object, or a string that begins with `file://`). */
export type FilePath = string | UrlLike;

/**
 * What a file is loaded from: its path or file URL, its bytes (a Uint8Array or Buffer, or an ArrayBuffer), a Blob or File, or a
 * stream of Uint8Arrays (a Readable, a web stream, an async generator), which is taken in whole first.
 */
export type FileInput = FilePath | Uint8Array | ArrayBuffer | BlobLike | AsyncIterable<Uint8Array>;

/** A source of bytes that is open. */
export interface OpenInput {
  source: ByteSource;
  /** What error messages call it. */
  name: string;
  /** Of a file. */
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

function pathOfUrl(href: string): string {
  try {
    return fileURLToPath(href);
  } catch (cause) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected a file URL for \`path\` but received ${JSON.stringify(href)}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** The path of a file. Throws ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE. */
export function checkFilePath(value: unknown): string {
  if (isUrl(value)) return pathOfUrl(value.href);
  checkPath(value);
  return /^file:\/\//i.test(value) ? pathOfUrl(value) : value;
}

/** Opens a source of bytes for the time of `use`, whose own errors pass as they are. */
export async function withInput<T>(input: unknown, use: (open: OpenInput) => Promise<T>): Promise<T> {
  const inMemory = (source: ByteSource, name: string): Promise<T> => use({ source, name, path: undefined });
  if (types.isUint8Array(input)) return inMemory(bytesSource(input), 'the given bytes');
  if (types.isAnyArrayBuffer(input)) return inMemory(bytesSource(new Uint8Array(input)), 'the given bytes');
  if (typeof input === 'string' || isUrl(input)) {
    const path = checkFilePath(input);
    return withFile(path, (handle, size) =>
      use({ source: fileSource(handle, size, path), name: path, path }),
    );
  }
  if (typeof input === 'object' && input !== null) {
    if (isBlob(input)) return inMemory(blobSource(input, 'the given Blob'), 'the given Blob');
    if (isStream(input)) return inMemory(await streamSource(input, 'the given stream'), 'the given stream');
  }
  throw unexpected(
    'ERR_INVALID_ARG_TYPE',
    'path',
    'a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob or an AsyncIterable of Uint8Arrays',
    input,
  );
}
