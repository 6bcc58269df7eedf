/** Writes PyTorch checkpoints of a state dict, as `torch.save` does: `torch.load` reads them, with `weights_only` too. */
import type { DType } from '../dtype';
import { contiguousStrides } from '../shape';
import type { SavedEntries } from './array-entry';
import { elementChunks, packed, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { writeFileAtomic, type FileContent } from './file-write';
import { elementCount } from '../shape';
import { zipContent, type RecordToWrite } from './zip-write';

/** The classes of storages, in the module torch. */
const STORAGES: Readonly<Record<DType, string>> = {
  float32: 'FloatStorage',
  float64: 'DoubleStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int32: 'IntStorage',
  int64: 'LongStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
};
/** Picklers set this many items of a dict at once. */
const ITEMS_AT_ONCE = 1000;
/** The version of torch.save's format. */
const FORMAT_VERSION = '3\n';

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.from('X\0\0\0\0');
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function integer(value: number): Buffer {
  if (value < 2 ** 31) {
    const bytes = Buffer.from('J\0\0\0\0');
    bytes.writeInt32LE(value, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(10);
  bytes.set([0x8a, 8]);
  bytes.writeBigInt64LE(BigInt(value), 2);
  return bytes;
}

const name = (module: string, attribute: string): Buffer => Buffer.from(`c${module}\n${attribute}\n`);
const tuple = (...items: Buffer[]): Buffer => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);
const NO_HOOKS = Buffer.concat([name('collections', 'OrderedDict'), Buffer.from(')R')]);
const FALSE = Buffer.from([0x89]);

/** A call of the function that rebuilds a tensor on the storage `key`. */
function pickledTensor(key: string, dtype: DType, shape: readonly number[]): Buffer {
  const storage = tuple(
    text('storage'),
    name('torch', STORAGES[dtype]),
    text(key),
    text('cpu'),
    integer(elementCount(shape)),
  );
  return Buffer.concat([
    name('torch._utils', '_rebuild_tensor_v2'),
    tuple(
      Buffer.concat([storage, Buffer.from('Q')]),
      integer(0),
      tuple(...shape.map(integer)),
      tuple(...contiguousStrides(shape).map(integer)),
      FALSE,
      NO_HOOKS,
    ),
    Buffer.from('R'),
  ]);
}

function pickledDict(entries: SavedEntries): Buffer {
  const parts: Buffer[] = [Buffer.from([0x80, 2]), Buffer.from('}')];
  const items = Object.entries(entries).map(([key, { dtype, shape }], i) =>
    Buffer.concat([text(key), pickledTensor(String(i), dtype, shape)]),
  );
  for (let done = 0; done < items.length; done += ITEMS_AT_ONCE)
    parts.push(Buffer.from('('), ...items.slice(done, done + ITEMS_AT_ONCE), Buffer.from('u'));
  return Buffer.concat([...parts, Buffer.from('.')]);
}

async function fileContent(entries: SavedEntries): Promise<FileContent> {
  const record = (file: string, bytes: Buffer): RecordToWrite => ({
    name: `archive/${file}`,
    content: { byteLength: bytes.length, chunks: () => [bytes] },
  });
  const storages = Object.entries(entries).map(([tensor, { data }], i): RecordToWrite => {
    const { byteLength } = data;
    const chunks = (): Iterable<Uint8Array> => elementChunks(data, byteLength, tensor);
    return { name: `archive/data/${i}`, content: { byteLength, chunks } };
  });
  const { byteLength, chunks } = await zipContent(
    [
      record('data.pkl', pickledDict(entries)),
      record('byteorder', Buffer.from('little')),
      ...storages,
      record('version', Buffer.from(FORMAT_VERSION)),
    ],
    false,
  );
  return { byteLength, chunks: () => packed(chunks()) };
}

/** Makes the bytes of a checkpoint with these tensors as its state dict. */
export async function serializeCheckpoint(entries: SavedEntries): Promise<Uint8Array<ArrayBuffer>> {
  return wholeContent(await fileContent(entries));
}

/** Writes a checkpoint atomically. Throws ERR_DETACHED and ERR_FILE_IO. */
export async function writeCheckpoint(path: string, entries: SavedEntries): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, await fileContent(entries));
}
