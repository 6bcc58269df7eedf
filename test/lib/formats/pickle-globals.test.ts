import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { unpickle } from '../../../lib/formats/pickle';
import { resolveGlobal } from '../../../lib/formats/pickle-globals';
import type { PickledDict, PickleValue } from '../../../lib/formats/pickle-values';
import {
  call,
  dict,
  global,
  hooks,
  none,
  number,
  numbers,
  pickle,
  raw,
  storage,
  tensor,
  text,
  tuple,
} from './pickle-writer';
import { expectReject, FIXTURES } from './support';

const read = (...value: Uint8Array[]): Promise<PickleValue> => unpickle(pickle(...value), 'x.pt');
/** The names that PyTorch's own loader of weights allows by default. */
const allowed = JSON.parse(readFileSync(join(FIXTURES, 'weights-only-globals.json'), 'utf8')) as {
  globals: string[];
};

function split(path: string): [module: string, name: string] {
  const dot = path.lastIndexOf('.');
  return [path.slice(0, dot), path.slice(dot + 1)];
}

describe('names', () => {
  test('all that PyTorch allows by default are known', () => {
    expect(allowed.globals.length).toBeGreaterThan(100);
    expect(allowed.globals.filter((path) => resolveGlobal(...split(path)) === undefined)).toEqual([]);
  });

  test.each([
    ...[
      'builtins.eval',
      'builtins.getattr',
      'builtins.bytes',
      'builtins.frozenset',
      'collections.defaultdict',
    ],
    ...[
      'torch.load',
      'torch.storage._load_from_bytes',
      'torch._utils._rebuild_xla_tensor',
      'torch.sparse.BoolTensor',
    ],
    ...['numpy.dtype', 'numpy._core.multiarray._reconstruct', 'copyreg._reconstructor', 'torch.constructor'],
    ...['_codecs.decode', 'torch.serialization.load', 'collections.Counter.update', 'torch.toString'],
  ])('%s is not', async (path) => {
    expect(resolveGlobal(...split(path))).toBeUndefined();
    await expectReject(read(global(...split(path))), 'ERR_UNSAFE_PICKLE', `asks for "${path}"`);
  });

  test('a value that is not callable is not called', async () => {
    for (const value of [global('torch', 'float32'), global('torch', 'per_tensor_affine')])
      await expectReject(read(call(value)), 'ERR_UNSAFE_PICKLE', /the pickle calls a /);
  });
});

describe('values', () => {
  const builtin = (name: string, ...args: Uint8Array[]): Buffer => call(global('__builtin__', name), ...args);
  const encode = (...args: Uint8Array[]): Buffer => call(global('_codecs', 'encode'), ...args);
  const counter = (...args: Uint8Array[]): Buffer => call(global('collections', 'Counter'), ...args);

  test.each<[string, Uint8Array, PickleValue]>([
    ['a set', builtin('set', raw('](K', 1, 'K', 2, 'e')), { kind: 'set', items: [1, 2] }],
    ['an empty set', builtin('set'), { kind: 'set', items: [] }],
    [
      'a complex number',
      builtin('complex', number(1), number(2)),
      { kind: 'opaque', name: 'complex number' },
    ],
    ['bytes in latin1', encode(text('a\u00e9\0'), text('latin1')), Uint8Array.of(0x61, 0xe9, 0)],
    ['bytes in utf-8', encode(text('\u00e9'), text('utf-8')), Uint8Array.of(0xc3, 0xa9)],
    ['a bytearray of a str', builtin('bytearray', text('\u00ff'), text('latin-1')), Uint8Array.of(255)],
    ['a bytearray of bytes', builtin('bytearray', raw('C', 1, 'a')), Uint8Array.of(0x61)],
    ['an empty bytearray', builtin('bytearray'), new Uint8Array(0)],
    [
      'a device',
      call(global('torch', 'device'), text('cuda'), number(1)),
      { kind: 'opaque', name: 'device' },
    ],
    [
      'a layout',
      call(global('torch.serialization', '_get_layout'), text('torch.strided')),
      { kind: 'opaque', name: 'layout' },
    ],
    ['a dtype', global('torch', 'float8_e4m3fn'), { kind: 'dtype', name: 'float8_e4m3fn' }],
    ['a scheme', global('torch', 'per_channel_affine'), { kind: 'opaque', name: 'torch.per_channel_affine' }],
  ])('%s', async (_, value, expected) => {
    expect(await read(value)).toEqual(expected);
  });

  test('a Counter has the items of its dict, and is another one', async () => {
    const value = await read(raw('('), dict({ a: number(2) }), raw('q', 0), counter(raw('h', 0)), raw('t'));
    const [from, to] = value as [PickledDict, PickledDict];
    expect([...to.entries]).toEqual([['a', 2]]);
    expect(to).not.toBe(from);
    expect(await read(counter())).toMatchObject({ size: 0 });
    expect(await read(counter(raw('}K', 1, 'K', 2, 's')))).toMatchObject({ others: [[1, 2]] });
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['a Counter of a list', counter(raw(']')), /Counter/],
    ['a set of a dict', builtin('set', raw('}')), /a set is not made/],
    ['bytes of a number', encode(number(1)), /bytes are not made/],
    ['latin1 of another character', encode(text('\u0100'), text('latin1')), /other characters/],
    ['a bytearray of a str alone', builtin('bytearray', text('a')), /bytearray is not made/],
  ])('%s is malformed', async (_, value, message) => {
    await expectReject(read(value), 'ERR_FILE_FORMAT', message);
  });
});

describe('tensors', () => {
  const rebuild = (name: string, ...args: Uint8Array[]): Buffer =>
    call(global('torch._utils', name), ...args);
  const plain = tensor();
  const yes = raw(0x88);
  const place = [storage({}), number(0), numbers([2, 3]), numbers([3, 1])];

  test.each<[string, Uint8Array]>([
    ['_rebuild_tensor', rebuild('_rebuild_tensor', ...place)],
    ['_rebuild_parameter', rebuild('_rebuild_parameter', plain, yes, hooks)],
    ['_rebuild_parameter_with_state', rebuild('_rebuild_parameter_with_state', plain, yes, hooks, dict({}))],
    ['Parameter', call(global('torch.nn.parameter', 'Parameter'), plain, yes)],
    [
      '_rebuild_from_type_v2',
      call(
        global('torch._tensor', '_rebuild_from_type_v2'),
        global('torch._utils', '_rebuild_tensor'),
        global('torch', 'Tensor'),
        tuple(...place),
        dict({ note: none }),
      ),
    ],
    [
      'of a device',
      rebuild('_rebuild_device_tensor_from_cpu_tensor', plain, global('torch', 'float32'), text('xla'), yes),
    ],
    ['with empty metadata', rebuild('_rebuild_tensor_v2', ...place, yes, hooks, dict({}))],
  ])('%s gives the tensor', async (_, value) => {
    expect(await read(value)).toEqual(await read(plain));
  });

  test('_rebuild_tensor_v3 has a dtype of its own', async () => {
    const value = await read(tensor({ dtype: 'uint16', numel: 12 }));
    expect(value).toMatchObject({ kind: 'tensor', dtype: 'uint16', storage: { size: 12, type: {} } });
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['metadata', rebuild('_rebuild_tensor_v2', ...place, yes, hooks, dict({ conj: yes })), /conjugate/],
    ['a sparse one', rebuild('_rebuild_sparse_tensor', none, none), /sparse/],
    [
      'a quantized one',
      rebuild('_rebuild_qtensor', storage({ type: 'QUInt8Storage' })),
      /quantized tensor of dtype quint8/,
    ],
    ['one without numbers', rebuild('_rebuild_meta_tensor_no_storage'), /meta device/],
    ['a class of old', call(global('torch.sparse', 'FloatTensor')), /torch\.sparse\.FloatTensor/],
    [
      'another dtype on a device',
      rebuild('_rebuild_device_tensor_from_cpu_tensor', plain, global('torch', 'float16'), text('xla'), yes),
      /stored as float32 and used as float16/,
    ],
  ])('%s is accepted and described', async (_, value, what) => {
    expect(await read(value)).toEqual({
      kind: 'unreadable-tensor',
      what: expect.stringMatching(what) as string,
    });
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      'a tensor rebuilt by itself',
      call(
        global('torch._tensor', '_rebuild_from_type_v2'),
        global('torch._tensor', '_rebuild_from_type_v2'),
        none,
        tuple(),
      ),
      /rebuilt by something other than/,
    ],
    [
      'a dtype that is none',
      rebuild('_rebuild_tensor_v3', ...place, yes, hooks, none),
      /dtype is not a dtype/,
    ],
    ['a quantized tensor of nothing', rebuild('_rebuild_qtensor', none), /quantized/],
    ['a Parameter of nothing', call(global('torch.nn.parameter', 'Parameter'), none), /parameter/],
    ['a device tensor of nothing', rebuild('_rebuild_device_tensor_from_cpu_tensor', none), /device tensor/],
  ])('%s is malformed', async (_, value, message) => {
    await expectReject(read(value), 'ERR_FILE_FORMAT', message);
  });
});
