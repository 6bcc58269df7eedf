import { bytesSource } from '../../../lib/formats/byte-source';
import { formatErrors } from '../../../lib/formats/format-error';
import { checkKind, identify, type Kind } from '../../../lib/formats/identify';
import { expectThrow, fixture } from './support';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const tar = Buffer.alloc(1024);
tar.write('ustar', 257);
const npz = Buffer.alloc(64);
npz.write('PK\x03\x04', 'latin1');
npz.writeUInt16LE(9, 26);
npz.write('arr_0.npy', 30);

test.each<[string, Uint8Array, Kind, RegExp]>([
  ['safetensors', fixture('all.safetensors'), 'safetensors', /safetensors/],
  ['a cut safetensors file', fixture('all.safetensors').subarray(0, 20), 'safetensors', /safetensors/],
  ['a checkpoint', fixture('all.pt'), 'checkpoint', /zip archive/],
  ['a legacy checkpoint', fixture('legacy.pt'), 'pickle', /pickle/],
  ['an array', fixture('float32.npy'), 'npy', /NumPy array \(\.npy\)/],
  ['arrays', npz, 'npz', /NumPy archive \(\.npz\)/],
  ['a flax state', fixture('all.msgpack'), 'msgpack', /MessagePack/],
  ['an empty flax state', fixture('empty.msgpack'), 'msgpack', /MessagePack/],
  ['a map of 16 keys or more', bytes('\xde\0\x10\xd9\x21a'), 'msgpack', /MessagePack/],
  ['a map without texts', bytes('\x81\x01\x02'), 'unknown', /an unknown format/],
  ['nothing', new Uint8Array(0), 'other', /empty \(0 bytes\)/],
  [
    'a pointer',
    utf8('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'),
    'other',
    /Git LFS pointer/,
  ],
  ['an HTML page', utf8('<!DOCTYPE html>\n<html lang="en"><head>'), 'other', /HTML page/],
  ['an HTML page, otherwise', utf8('\ufeff\n  <HTML><title>\u00dcber'), 'other', /HTML page/],
  ['an XML error', utf8('<?xml version="1.0"?><Error><Code>AccessDenied'), 'other', /XML/],
  ['an error message', utf8('Entry not found'), 'other', /text that begins with "Entry not found"/],
  ['an index', utf8('{\n  "metadata": {}, "weight_map": {}}'), 'json', /JSON/],
  ['a list in JSON', utf8('[1, 2]'), 'json', /JSON/],
  ['gzip', bytes('\x1f\x8b\x08\0\0\0\0\0\0\x03'), 'other', /compressed with gzip/],
  ['bzip2', bytes('BZh91AY&SY'), 'other', /compressed with bzip2/],
  ['xz', bytes('\xfd7zXZ\0\0'), 'other', /compressed with xz/],
  ['zstd', bytes('\x28\xb5\x2f\xfd\0\0'), 'other', /compressed with zstd/],
  ['lz4', bytes('\x04\x22\x4d\x18\0\0'), 'other', /compressed with lz4/],
  ['7z', bytes('7z\xbc\xaf\x27\x1c\0\x04'), 'other', /7-Zip/],
  ['RAR', bytes('Rar!\x1a\x07\x01\0'), 'other', /RAR/],
  ['tar', tar, 'other', /tar archive/],
  ['ONNX', bytes('\x08\x07\x12\x07pytorch\x1a\x052.1.0:\xff\x01'), 'other', /ONNX model/],
  ['ONNX without a producer', bytes('\x08\x0a\x3a\x80\x01'), 'other', /ONNX model/],
  ['HDF5', bytes('\x89HDF\r\n\x1a\n\0\0'), 'other', /HDF5/],
  ['GGUF', bytes('GGUF\x03\0\0\0\0\0'), 'other', /GGUF/],
  ['TensorFlow Lite', bytes('\x1c\0\0\0TFL3\0\0'), 'other', /TensorFlow Lite/],
  ['PDF', bytes('%PDF-1.7\n'), 'other', /PDF/],
  ['PNG', bytes('\x89PNG\r\n\x1a\n'), 'other', /PNG/],
  ['bytes of no meaning', bytes('\x01\x02\x03\xfe'), 'unknown', /an unknown format/],
])('%s', async (_, content, kind, what) => {
  const identity = await identify(bytesSource(content));
  expect(identity.kind).toBe(kind);
  expect(identity.what).toMatch(what);
  const fail = formatErrors('w.bin');
  if (kind === 'unknown') {
    checkKind(identity, [], fail);
    return;
  }
  checkKind(identity, [kind], fail);
  expectThrow(
    () => {
      checkKind(identity, [], fail);
    },
    'ERR_FILE_FORMAT',
    /^w\.bin: this is .+; .+/,
  );
});
