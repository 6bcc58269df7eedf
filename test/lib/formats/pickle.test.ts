import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { unpickle } from '../../../lib/formats/pickle';
import { PickledDict, type PickleValue } from '../../../lib/formats/pickle-values';
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

const fixtures = JSON.parse(readFileSync(join(FIXTURES, 'pickles.json'), 'utf8')) as {
  malicious: { names: string; hex: string }[];
  plain: string[];
};

const read = (bytes: Uint8Array): Promise<PickleValue> => unpickle(bytes, 'x.pt');

/** A dict as the machine makes it. */
function dictOf(...items: [PickleValue, PickleValue][]): PickledDict {
  const made = new PickledDict();
  for (const [key, value] of items) made.set(key, value);
  return made;
}

describe('plain data by Python', () => {
  test.each(fixtures.plain.filter((_, i) => i % 2 === 0))('%s', async (hex) => {
    const expected = dictOf(
      ['a', [1, -1, 2 ** 40, -(2n ** 70n), 0.1]],
      ['b', ['\u00e9', Uint8Array.of(0, 255), null, true, false]],
      ['c', dictOf()],
      ['d', []],
      [5, [[]]],
    );
    expect(await read(Buffer.from(hex, 'hex'))).toEqual(expected);
  });

  test.each(fixtures.plain.filter((_, i) => i % 2 === 1))('a list that holds itself: %s', async (hex) => {
    const list = (await read(Buffer.from(hex, 'hex'))) as PickleValue[];
    expect(list).toHaveLength(1);
    expect(list[0]).toBe(list);
  });
});

describe('values', () => {
  test.each<[string, Uint8Array, PickleValue]>([
    ['BININT', pickle(raw('J', 0, 0, 0, 0x80)), -(2 ** 31)],
    ['BININT2', pickle(raw('M', 1, 2)), 513],
    ['LONG1 without bytes', pickle(raw(0x8a, 0)), 0],
    ['LONG4', pickle(raw(0x8b, 2, 0, 0, 0, 0, 0xff)), -256],
    ['BINSTRING', pickle(raw('T', 1, 0, 0, 0, 'a')), 'a'],
    ['SHORT_BINSTRING', pickle(raw('U', 1, 'a')), 'a'],
    ['LIST', pickle(raw('(NNl')), [null, null]],
    ['DICT', pickle(raw('(K', 1, 'Nd')), dictOf([1, null])],
    ['POP and POP_MARK', pickle(raw('N0(NN1N')), null],
    ['LONG_BINPUT and LONG_BINGET', pickle(raw(']r', 0, 0, 1, 0, 'j', 0, 0, 1, 0, 'a0N')), null],
    ['torch.Size', pickle(call(global('torch', 'Size'), numbers([2, 3]))), [2, 3]],
    [
      'an OrderedDict of pairs',
      pickle(call(global('collections', 'OrderedDict'), raw(']('), tuple(text('k'), none), raw('e'))),
      dictOf(['k', null]),
    ],
    ['EMPTY_SET and ADDITEMS', pickle(raw(0x8f, '(K', 1, 'N', 0x90)), { kind: 'set', items: [1, null] }],
  ])('%s', async (_, bytes, value) => {
    expect(await read(bytes)).toEqual(value);
  });

  test('a tensor, and a parameter around it', async () => {
    const expected = {
      kind: 'tensor',
      dtype: 'float32',
      storage: { kind: 'storage', key: '0', type: { kind: 'storage-type', dtype: 'float32' }, size: 6 },
      offset: 0,
      shape: [2, 3],
      strides: [3, 1],
    };
    expect(await read(pickle(tensor()))).toEqual(expected);
    const parameter = call(
      global('torch._utils', '_rebuild_parameter'),
      tensor(),
      Buffer.from([0x88]),
      hooks,
    );
    expect(await read(pickle(parameter))).toEqual(expected);
  });

  test('attributes of an OrderedDict are dropped', async () => {
    expect(await read(pickle(hooks, dict({ _metadata: none }), raw('b')))).toEqual(dictOf());
  });
});

describe('what is not allowed', () => {
  test.each(fixtures.malicious.map(({ names, hex }) => [names, hex]))('%s: %s', async (names, hex) => {
    await expectReject(read(Buffer.from(hex, 'hex')), 'ERR_UNSAFE_PICKLE', names);
    await expectReject(read(Buffer.from(hex, 'hex')), 'ERR_UNSAFE_PICKLE', /^x\.pt: /);
  });

  test('a long name is cut in the message', async () => {
    const bytes = pickle(global('m', 'n'.repeat(10_000)));
    await expectReject(read(bytes), 'ERR_UNSAFE_PICKLE', /"m\.n{198}\.\.\."/);
  });
});

describe('malformed pickles', () => {
  const rebuild = global('torch._utils', '_rebuild_tensor_v2');
  const tensorOf = (...args: Uint8Array[]): Buffer => pickle(call(rebuild, ...args));
  const yes = Buffer.from([0x88]);
  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', raw(), /truncated/],
    ['no STOP', raw(0x80, 2, 'N'), /truncated/],
    ['protocol 6', raw(0x80, 6, 'N.'), /protocol 6/],
    ['an unknown operation', raw(0x80, 2, 0xff), /0xff at 2, which is not an operation/],
    ['an empty stack', pickle(), /empty stack/],
    ['two values', pickle(none, none), /more than one value/],
    ['taking from below the mark', pickle(raw('NN(0')), /empty stack/],
    ['a missing mark', pickle(raw('t')), /no mark/],
    ['an unknown memo', pickle(raw('h', 1)), /recalls 1/],
    ['a string that is cut', raw('X', 9, 0, 0, 0, 'abc.'), /truncated/],
    ['a string of 2^63 bytes', raw(0x8d, 0, 0, 0, 0, 0, 0, 0, 0x80, '.'), /truncated/],
    ['invalid UTF-8', raw('U', 1, 0xff, '.'), /not valid UTF-8/],
    ['a global that is cut', raw('cos'), /a line does not end/],
    ['a global by numbers', pickle(raw('K', 1, 'K', 2, 0x93)), /something other than strings/],
    ['an integer of 257 bytes', pickle(raw(0x8b, 1, 1, 0, 0, '\0'.repeat(257))), /integer of 257 bytes/],
    ['a key without a value', pickle(raw('}(Nu')), /key without a value/],
    ['a key without a value at once', pickle(raw('(Nd')), /key without a value/],
    ['items added to a list', pickle(raw('](N', 0x90)), /adds items to a list/],
    ['items of a list', pickle(raw('](NNu')), /sets items of a list/],
    ['appending to a dict', pickle(raw('}Na')), /appends to a dict/],
    ['arguments that are not a tuple', pickle(global('torch', 'Size'), none, raw('R')), /without a tuple/],
    ['a torch.Size of two arguments', pickle(call(global('torch', 'Size'), none, none)), /torch\.Size/],
    [
      'an OrderedDict of numbers',
      pickle(call(global('collections', 'OrderedDict'), numbers([1]))),
      /list of pairs/,
    ],
    ['a persistent id of one value', pickle(text('storage'), raw('Q')), /a persistent id is a str/],
    [
      'a persistent id without a type',
      pickle(tuple(text('storage'), none, none, none, none), raw('Q')),
      /no storage type/,
    ],
    ['a storage without a size', pickle(storage({ numel: -1 })), /key or size is malformed/],
    ['a tensor of too few arguments', tensorOf(storage({}), number(0)), /described by 2 values/],
    [
      'a tensor of no storage',
      tensorOf(none, number(0), numbers([1]), numbers([1]), yes, hooks),
      /not described by a storage/,
    ],
    ['a negative offset', pickle(tensor({ offset: -1 })), /storage offset/],
    ['a fractional offset', pickle(tensor({ offset: 0.5 })), /storage offset/],
    ['a negative size', pickle(tensor({ shape: [-2, 3] })), /size is not a tuple/],
    ['a negative stride', pickle(tensor({ strides: [-3, 1] })), /stride is not a tuple/],
    ['a stride too few', pickle(tensor({ strides: [1] })), /differ in length/],
    ['65 axes', pickle(tensor({ shape: new Array<number>(65).fill(1) })), /at most 64/],
    ['a tensor of nine values', tensorOf(...new Array<Uint8Array>(9).fill(none)), /by 9 values/],
    [
      'a tensor without a dtype',
      pickle(call(rebuild, storage({ dtype: 'uint16' }), number(0), numbers([1]), numbers([1]), yes, hooks)),
      /no dtype/,
    ],
    [
      'a parameter of no tensor',
      pickle(call(global('torch._utils', '_rebuild_parameter'), none, yes, hooks)),
      /parameter/,
    ],
  ])('%s', async (_, bytes, message) => {
    await expectReject(read(bytes), 'ERR_FILE_FORMAT', message);
  });

  test('every prefix of a pickle is truncated', async () => {
    const bytes = pickle(dict({ w: tensor(), n: number(2 ** 40) }));
    for (let length = 0; length < bytes.length; length += 1) {
      await expectReject(read(bytes.subarray(0, length)), 'ERR_FILE_FORMAT', /truncated/);
    }
  });
});
