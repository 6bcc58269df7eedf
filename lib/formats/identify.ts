/** Identifies a file by its first bytes. Names are no help: weights are called .pt, .pth.tar, .bin, .ckpt, ... */
import { isUtf8 } from 'node:buffer';

import type { ByteSource } from './byte-source';
import { quote, type Fail } from './format-error';
import { MAX_HEADER_BYTES } from './safetensors-header';

/** The kinds that readers distinguish: `pickle` is PyTorch's formats before 1.6, `json` may be an index of shards. */
export type Kind =
  'safetensors' | 'checkpoint' | 'pickle' | 'npy' | 'npz' | 'msgpack' | 'json' | 'other' | 'unknown';

/** The kind of a file, and for people a description and the next step. */
export interface Identity {
  kind: Kind;
  what: string;
  remedy: string;
}

const HEAD_BYTES = 512;
const DOWNLOAD = 'download the file itself';

const ZIP: Identity = {
  kind: 'checkpoint',
  what: 'a zip archive, like a PyTorch checkpoint',
  remedy: 'load it with loadCheckpoint or loadWeights',
};
const SAFETENSORS: Identity = {
  kind: 'safetensors',
  what: 'a safetensors file',
  remedy: 'load it with loadSafetensors or loadWeights',
};
const NPZ: Identity = {
  kind: 'npz',
  what: 'a NumPy archive (.npz)',
  remedy: 'load it with loadNpz or loadWeights',
};
const MSGPACK: Identity = {
  kind: 'msgpack',
  what: 'a MessagePack file, as flax writes them',
  remedy: 'load it with loadFlaxMsgpack or loadWeights',
};
const UNKNOWN: Identity = { kind: 'unknown', what: 'an unknown format', remedy: '' };

function other(what: string, remedy: string): Identity {
  return { kind: 'other', what, remedy };
}

function compressed(name: string, command: string): Identity {
  return other(`compressed with ${name}`, `decompress it first (${command})`);
}

/** Signatures: bytes (in latin1) at a position. */
const SIGNATURES: readonly (readonly [at: number, bytes: string, identity: Identity])[] = [
  [
    0,
    '\x93NUMPY',
    {
      kind: 'npy',
      what: 'a NumPy array (.npy), which has no names',
      remedy: 'load it with loadNpy; as weights, save a state dict',
    },
  ],
  [0, 'version https://git-lfs', other('a Git LFS pointer instead of the file itself', 'run `git lfs pull`')],
  [0, '\x1f\x8b', compressed('gzip', 'gunzip')],
  [0, 'BZh', compressed('bzip2', 'bunzip2')],
  [0, '\xfd7zXZ\0', compressed('xz', 'unxz')],
  [0, '\x28\xb5\x2f\xfd', compressed('zstd', 'unzstd')],
  [0, '\x04\x22\x4d\x18', compressed('lz4', 'unlz4')],
  [0, '7z\xbc\xaf\x27\x1c', other('a 7-Zip archive', 'unpack it and load the file in it')],
  [0, 'Rar!', other('a RAR archive', 'unpack it and load the file in it')],
  [0, '\x89HDF\r\n', other('an HDF5 file (Keras)', 'convert it in Python to safetensors')],
  [0, 'GGUF', other('a GGUF file (llama.cpp)', 'load the safetensors or PyTorch file that it was made from')],
  [4, 'TFL3', other('a TensorFlow Lite model', 'convert it in Python to safetensors')],
  [0, '%PDF', other('a PDF document', DOWNLOAD)],
  [0, '\x89PNG', other('a PNG image', 'name the file of weights')],
  [
    257,
    'ustar',
    other(
      'a tar archive',
      'unpack it (tar -xf) and load the file in it; a checkpoint of PyTorch before 0.1.10 is a tar archive too: load it in Python and save its state dict again',
    ),
  ],
];

/** True for a length within the format's limit, and a header that begins with a brace. */
function isSafetensors(head: Buffer): boolean {
  return head.length > 8 && head[8] === 0x7b && head.readBigUInt64LE() <= MAX_HEADER_BYTES;
}

/** True for a protobuf that begins like onnx.ModelProto: with ir_version (field 1, a small number), then another of its fields. */
function isOnnx(head: Buffer): boolean {
  const [tag, version = 0, next = 0] = head;
  return (
    tag === 0x08 && version >= 1 && version <= 30 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(next)
  );
}

function identifyZip(head: Buffer): Identity {
  const name = head.toString('latin1', 30, 30 + (head.length >= 28 ? head.readUInt16LE(26) : 0));
  return name.endsWith('.npy') ? NPZ : ZIP;
}

/** True for MessagePack that begins with a map whose first key is a text, as flax writes it; or that is an empty map. */
function isMsgpack(head: Buffer, size: number): boolean {
  const first = head[0] ?? 0;
  if (first === 0x80) return size === 1;
  const isMap = (first > 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf;
  const at = first === 0xde ? 3 : first === 0xdf ? 5 : 1;
  const type = head[at] ?? 0;
  if (!isMap || ((type & 0xe0) !== 0xa0 && type !== 0xd9)) return false;
  const [start, length] = type === 0xd9 ? [at + 2, head[at + 1] ?? 0] : [at + 1, type & 0x1f];
  const key = head.subarray(start, start + length);
  return key.length === Math.min(length, head.length - start) && isUtf8(key);
}

/** True for printable UTF-8. The last character may be cut off. */
function isText(head: Buffer): boolean {
  if (head.some((byte) => byte < 0x20 && ![0x09, 0x0a, 0x0c, 0x0d].includes(byte))) return false;
  return !head.toString('utf8').slice(0, -3).includes('\ufffd');
}

/** Identifies text: JSON, or a web page or error message in place of a file. */
function identifyText(head: Buffer): Identity {
  const text = head
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart();
  if (/^<(?:!doctype\s+html|html|head|body)/i.test(text))
    return other('an HTML page, perhaps a server error, a log-in or a preview', DOWNLOAD);
  if (/^<(?:\?xml|[a-z!])/i.test(text))
    return other('an XML or HTML document, perhaps a server error', DOWNLOAD);
  if (/^[{[]/.test(text))
    return {
      kind: 'json',
      what: 'a JSON document, not weights',
      remedy: 'name the file of weights; load an index of shards (.index.json) by its path, with loadWeights',
    };
  if (text === '') return UNKNOWN;
  const start = text.split('\n', 1)[0] ?? '';
  return other(
    `text that begins with ${quote(start.slice(0, 60))}`,
    `${DOWNLOAD}: this may be a server's error message`,
  );
}

function identifyBytes(head: Buffer, size: number): Identity {
  if (size === 0) return other('empty (0 bytes)', 'download or save it again');
  if (isSafetensors(head)) return SAFETENSORS;
  const start = head.toString('latin1');
  if (start.startsWith('PK')) return identifyZip(head);
  const known = SIGNATURES.find(([at, bytes]) => start.startsWith(bytes, at));
  if (known !== undefined) return known[2];
  if (isMsgpack(head, size)) return MSGPACK;
  if (head[0] === 0x80 && (head[1] ?? 0) <= 5)
    return {
      kind: 'pickle',
      what: 'a pickle, the format of PyTorch before 1.6',
      remedy:
        'load it in Python and save it again with torch.save(state_dict, path), which writes the zip format',
    };
  if (isOnnx(head))
    return other(
      'an ONNX model',
      "load its PyTorch model's weights (safetensors or .pt): TokenLearner takes state dicts",
    );
  return isText(head) ? identifyText(head) : UNKNOWN;
}

/** Identifies a source by its first bytes. */
export async function identify(source: ByteSource): Promise<Identity> {
  const head = Buffer.alloc(Math.min(source.size, HEAD_BYTES));
  await source.read(head, 0);
  return identifyBytes(head, source.size);
}

/** Refuses a file of another known kind. The message names the kind and the next step. Unknown files are left to the reader. */
export function checkKind({ kind, what, remedy }: Identity, accepted: readonly Kind[], fail: Fail): void {
  if (kind === 'unknown' || accepted.includes(kind)) return;
  throw fail(`this is ${what}; ${remedy}`);
}
