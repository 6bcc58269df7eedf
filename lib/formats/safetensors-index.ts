/** The index of a sharded checkpoint (`model.safetensors.index.json`). It maps tensors to files. */
import path from 'node:path';

import type { ByteSource } from './byte-source';
import { allocateBytes } from './file-io';
import { formatErrors, quote, type Fail } from './format-error';
import { JsonCursor } from './json-cursor';
import { MAX_NAME_BYTES, readStrings } from './json-strings';
import { Pace } from './pace';
import { readBytes } from './read-elements';
import { MAX_HEADER_BYTES } from './safetensors-header';

const WEIGHT_MAP = 'weight_map';
/** Other values of an index are skipped, up to this many bytes each. */
const MAX_SKIPPED_BYTES = 2 ** 20;

/** The names of the tensors of each shard, by the shard's path. */
export type Shards = ReadonlyMap<string, ReadonlySet<string>>;

async function readWeightMap(
  bytes: Uint8Array,
  fail: Fail,
  pace: Pace,
): Promise<ReadonlyMap<string, string>> {
  const cursor = new JsonCursor(bytes, 'the index', fail);
  let weightMap: ReadonlyMap<string, string> | undefined;
  if (!cursor.nextIs('{'))
    throw fail('this is a JSON document but not an index of shards; name the file of weights');
  for (const key of cursor.keys(MAX_NAME_BYTES)) {
    if (key !== WEIGHT_MAP) cursor.skip(MAX_SKIPPED_BYTES);
    else if (weightMap !== undefined) throw fail(`the index has the key ${WEIGHT_MAP} twice`);
    else weightMap = await readStrings(cursor, WEIGHT_MAP, fail, pace);
    await pace.pause();
  }
  await cursor.paddedEnd(() => pace.pause());
  if (weightMap !== undefined) return weightMap;
  throw fail(
    `this is a JSON document without a ${WEIGHT_MAP}, so it is not an index of shards; name the file of weights`,
  );
}

/** A shard lies beside its index. Refuses a name that leads elsewhere on any system. */
function checkShardName(name: string, fail: Fail): void {
  const isPlain = path.win32.basename(name) === name && path.posix.basename(name) === name;
  if (isPlain && !['', '.', '..'].includes(name) && !/[\0:]/.test(name)) return;
  throw fail(`the shard ${quote(name)} is not the plain name of a file beside the index`);
}

/**
 * Reads an index. The shards are not opened.
 *
 * @param indexPath - its path; the shards lie beside it
 * @throws TokenLearnerError ERR_FILE_FORMAT, ERR_OUT_OF_MEMORY
 */
export async function readIndex(source: ByteSource, indexPath: string): Promise<Shards> {
  const fail = formatErrors(indexPath);
  if (source.size > MAX_HEADER_BYTES)
    throw fail(`an index of ${source.size} bytes is over the limit of ${MAX_HEADER_BYTES}`);
  const bytes = allocateBytes(source.size, indexPath);
  const pace = new Pace();
  await readBytes(source, bytes, 0, pace);
  const shards = new Map<string, Set<string>>();
  for (const [name, file] of await readWeightMap(bytes, fail, pace)) {
    let names = shards.get(file);
    if (names === undefined) {
      checkShardName(file, fail);
      names = new Set();
      shards.set(file, names);
    }
    names.add(name);
    await pace.pause();
  }
  const folder = path.dirname(indexPath);
  const byPath = new Map<string, ReadonlySet<string>>();
  for (const [file, names] of shards) {
    byPath.set(path.join(folder, file), names);
    await pace.pause();
  }
  return byPath;
}
