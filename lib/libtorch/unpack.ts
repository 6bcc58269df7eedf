import { createWriteStream } from 'node:fs';
import { chmod } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import * as yauzl from 'yauzl';
import { messageOf } from '../errors';
import { makeFolders } from '../folders';
import { installError } from './install-error';
import type { OnProgress } from './progress';

/** The headers of the stable ABI. They include nothing outside these folders. */
const HEADERS = ['torch/csrc/stable/', 'torch/csrc/inductor/aoti_torch/', 'torch/headeronly/'];

/** Libraries that only Python, tests or distributed training load. */
const UNUSED_LIBRARY = /python|test|(?<!nv)shm|custom_ops|backend_with_compiler|nnapi/;

/** Returns the path of an archive's entry relative to the runtime's folder; null if the entry is not needed. */
export type Layout = (entry: string) => string | null;

/**
 * The layout of a libtorch that needs no other package: `lib` lies directly in the runtime's folder. A wheel has everything
 * under `torch/`, the official archive under `libtorch/`.
 */
export function destination(entry: string): string | null {
  if (entry.endsWith('/')) return null;
  const licence = /^torch-[^/]+\.dist-info\/licenses\/(.+)$/.exec(entry);
  if (licence?.[1] !== undefined) return `licenses/${licence[1]}`;
  const inside = /^(?:torch|libtorch)\/(.+)$/.exec(entry)?.[1];
  if (inside === undefined) return null;
  if (inside === 'version.py' || inside === 'build-version') return inside;
  if (inside.startsWith('include/')) {
    const header = inside.slice('include/'.length);
    return HEADERS.some((folder) => header.startsWith(folder)) ? inside : null;
  }
  return /^lib\/[^/]+\.(?:so(?:\.\d+)*|dylib|dll)$/.test(inside) && !UNUSED_LIBRARY.test(inside)
    ? inside
    : null;
}

/**
 * The layout of a CUDA build from wheels: that of a Python's site-packages, since libtorch's run path names `../../nvidia` for
 * NVIDIA's libraries.
 */
export function siteDestination(entry: string): string | null {
  const licence = /^([^/]+)\.dist-info\/(?:licenses\/)?((?:.*\/)?(?:LICEN[CS]E|NOTICE|COPYING)[^/]*)$/i.exec(
    entry,
  );
  if (licence?.[1] !== undefined && licence[2] !== undefined) return `licenses/${licence[1]}/${licence[2]}`;
  if (/^nvidia\/.+\.(?:so(?:\.\d+)*|dll)$/.test(entry)) return entry;
  const inside = entry.startsWith('torch/') ? destination(entry) : null;
  return inside === null ? null : `torch/${inside}`;
}

/**
 * Unpacks libtorch's libraries, its stable headers and its licences from a wheel or an official archive.
 *
 * @returns path relative to `folder` -> bytes, of every file written.
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if the file is not a zip, is damaged, or holds no libtorch.
 */
export async function unpackLibtorch(
  archive: string,
  folder: string,
  onProgress?: OnProgress,
  layout: Layout = destination,
): Promise<Record<string, number>> {
  try {
    const total = await wantedBytes(archive, layout);
    if (total === 0) throw new Error('it holds no libtorch');
    return await extract(archive, folder, { total, layout, onProgress });
  } catch (error) {
    throw installError(`Unpacking ${archive} failed: ${messageOf(error)}`, error);
  }
}

async function wantedBytes(archive: string, layout: Layout): Promise<number> {
  const zip = await yauzl.openPromise(archive, { lazyEntries: true });
  let total = 0;
  for await (const entry of zip.eachEntry()) {
    if (layout(entry.fileName) !== null) total += entry.uncompressedSize;
  }
  return total;
}

async function extract(
  archive: string,
  folder: string,
  how: { total: number; layout: Layout; onProgress: OnProgress | undefined },
): Promise<Record<string, number>> {
  const { total, layout, onProgress } = how;
  const files: Record<string, number> = {};
  let done = 0;
  const zip = await yauzl.openPromise(archive, { lazyEntries: true });
  for await (const entry of zip.eachEntry()) {
    const relative = layout(entry.fileName);
    if (relative === null) continue;
    const target = path.join(folder, relative);
    await makeFolders(path.dirname(target), 0o755);
    let checksum = 0;
    const counter = new Transform({
      transform(chunk: Buffer, _encoding, callback) {
        checksum = crc32(chunk, checksum);
        done += chunk.length;
        onProgress?.({ phase: 'unpack', done, total });
        callback(null, chunk);
      },
    });
    await pipeline(await zip.openReadStreamPromise(entry), counter, createWriteStream(target));
    if (checksum !== entry.crc32) throw new Error(`${entry.fileName} is damaged`);
    await chmod(target, /\.(?:so|dylib|dll)\b/.test(relative) ? 0o755 : 0o644);
    files[relative] = entry.uncompressedSize;
  }
  return files;
}
