/** Tells from a file's first bytes what it is. The name of a file says nothing: weights are called .pt, .pth.tar, .bin, .ckpt, ... */
import type { ByteSource } from './byte-source';
import { quote, type Fail } from './format-error';
import { MAX_HEADER_BYTES } from './safetensors-header';

/** What readers here take: `pickle` stands for PyTorch's formats before 1.6, `json` may be an index of shards. */
export type Kind = 'safetensors' | 'checkpoint' | 'pickle' | 'npy' | 'json' | 'other' | 'unknown';

/** What a file is, for people, and what to do about it. */
export interface Identity {
  kind: Kind;
  what: string;
  remedy: string;
}

const HEAD_BYTES = 512;
const DOWNLOAD = 'download the file itself';

const ZIP: Identity = {
  kind: 'checkpoint',
  what: 'a zip archive, as PyTorch checkpoints are',
  remedy: 'load it with loadCheckpoint or loadWeights',
};
const SAFETENSORS: Identity = {
  kind: 'safetensors',
  what: 'a safetensors file',
  remedy: 'load it with loadSafetensors or loadWeights',
};
const UNKNOWN: Identity = { kind: 'unknown', what: 'no format that is known', remedy: '' };

function other(what: string, remedy: string): Identity {
  return { kind: 'other', what, remedy };
}

function compressed(name: string, command: string): Identity {
  return other(`compressed with ${name}`, `decompress it first (${command})`);
}

/** What begins with certain bytes (in latin1) at certain positions. */
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
  [
    0,
    'version https://git-lfs',
    other('a Git LFS pointer and not the file that it stands for', 'run `git lfs pull`'),
  ],
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

/** A safetensors file: a length within the format's limit, and a header that begins as one does. */
function isSafetensors(head: Buffer): boolean {
  return head.length > 8 && head[8] === 0x7b && head.readBigUInt64LE() <= MAX_HEADER_BYTES;
}

/** A protobuf whose first fields are those of onnx.ModelProto: ir_version (1, a small number), then another that it has. */
function isOnnx(head: Buffer): boolean {
  const [tag, version = 0, next = 0] = head;
  return (
    tag === 0x08 && version >= 1 && version <= 30 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(next)
  );
}

function identifyZip(head: Buffer): Identity {
  const name = head.toString('latin1', 30, 30 + (head.length >= 28 ? head.readUInt16LE(26) : 0));
  if (!name.endsWith('.npy')) return ZIP;
  return other(
    'a NumPy archive (.npz)',
    'save each array of it with numpy.save, or all of them as safetensors',
  );
}

/** Characters alone, in UTF-8; the last may be cut off. */
function isText(head: Buffer): boolean {
  if (head.some((byte) => byte < 0x20 && ![0x09, 0x0a, 0x0c, 0x0d].includes(byte))) return false;
  return !head.toString('utf8').slice(0, -3).includes('\ufffd');
}

/** What is written in characters: web pages and error messages in the place of a file, JSON. */
function identifyText(head: Buffer): Identity {
  const text = head
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart();
  if (/^<(?:!doctype\s+html|html|head|body)/i.test(text))
    return other('an HTML page, such as a web site sends for an error, a log-in or a preview', DOWNLOAD);
  if (/^<(?:\?xml|[a-z!])/i.test(text))
    return other('an XML or HTML document, such as a server sends for an error', DOWNLOAD);
  if (/^[{[]/.test(text))
    return {
      kind: 'json',
      what: 'a JSON document and no weights',
      remedy:
        'name the file of weights; an index of shards (.index.json) is loaded by its path, with loadWeights',
    };
  if (text === '') return UNKNOWN;
  const start = text.split('\n', 1)[0] ?? '';
  return other(
    `a text that begins with ${quote(start.slice(0, 60))}`,
    `${DOWNLOAD}: it may be a server's error message`,
  );
}

function identifyBytes(head: Buffer, size: number): Identity {
  if (size === 0) return other('empty (0 bytes)', 'download or save it again');
  if (isSafetensors(head)) return SAFETENSORS;
  const start = head.toString('latin1');
  if (start.startsWith('PK')) return identifyZip(head);
  const known = SIGNATURES.find(([at, bytes]) => start.startsWith(bytes, at));
  if (known !== undefined) return known[2];
  if (head[0] === 0x80 && (head[1] ?? 0) <= 5)
    return {
      kind: 'pickle',
      what: 'a pickle, as PyTorch wrote before 1.6',
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

/** Reads the beginning of a source and tells what it is. */
export async function identify(source: ByteSource): Promise<Identity> {
  const head = Buffer.alloc(Math.min(source.size, HEAD_BYTES));
  await source.read(head, 0);
  return identifyBytes(head, source.size);
}

/** Refuses what is of another known kind: the message says which, and what to do. What is unknown is left to the reader. */
export function checkKind({ kind, what, remedy }: Identity, accepted: readonly Kind[], fail: Fail): void {
  if (kind === 'unknown' || accepted.includes(kind)) return;
  throw fail(`this is ${what}; ${remedy}`);
}
