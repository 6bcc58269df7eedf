import { formatErrors } from '../../../lib/formats/format-error';
import { unpickle } from '../../../lib/formats/pickle';
import { PickleBudget } from '../../../lib/formats/pickle-budget';
import { construct, setItems } from '../../../lib/formats/pickle-globals';
import { PickledDict, type PickleValue } from '../../../lib/formats/pickle-values';
import {
  call,
  dict,
  global,
  number,
  numbers,
  pickle,
  raw,
  repeat,
  storage,
  text,
  tuple,
} from './pickle-writer';
import { expectReject } from './support';

const read = (bytes: Uint8Array, fileBytes?: number): Promise<PickleValue> =>
  unpickle(bytes, 'x.pt', fileBytes);

/** A value put into the memo and taken off the stack. */
const remembered = (index: number, value: Uint8Array): Buffer => Buffer.concat([value, raw('q', index, '0')]);
const recalled = (index: number): Buffer => raw('h', index);
const ones = (count: number): Buffer => repeat(raw('K', 1), count);
const list = (items: Uint8Array): Buffer => Buffer.concat([raw(']('), items, raw('e')]);

/** A program that calls a constructor with remembered arguments, over and over. `keep` leaves the results on the stack. */
function calls(callee: Uint8Array, args: Uint8Array, count: number, keep: boolean): Buffer {
  const one = Buffer.concat([recalled(1), recalled(0), raw(keep ? 'R' : 'R0')]);
  return pickle(raw('N'), remembered(0, args), remembered(1, callee), repeat(one, count));
}

const pair = tuple(number(1), number(2));
const keys = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, raw('N')]));
const long = 'a'.repeat(100_000);
const axes = numbers(new Array<number>(64).fill(1));
const rebuild = (function_: string): Buffer => global('torch._utils', function_);

describe('limits', () => {
  const fail = formatErrors('x.pt');

  test.each<[number, string, number, (budget: PickleBudget) => void]>([
    [
      1_000,
      'elements',
      69_536,
      (budget) => {
        budget.elements(69_537);
      },
    ],
    [
      1_000,
      'bytes of memory',
      16_841_216,
      (budget) => {
        budget.memory(16_841_217);
      },
    ],
    [
      1e12,
      'elements',
      2 ** 24,
      (budget) => {
        budget.elements(2 ** 24 + 1);
      },
    ],
    [
      1e12,
      'bytes of memory',
      2 ** 29,
      (budget) => {
        budget.memory(2 ** 29 + 1);
      },
    ],
  ])('a file of %d bytes: %s', (fileBytes, what, limit, exceed) => {
    expect(() => {
      exceed(new PickleBudget(fileBytes, fail));
    }).toThrow(`over ${limit} ${what}`);
    const budget = new PickleBudget(fileBytes, fail);
    const charge = what === 'elements' ? budget.elements.bind(budget) : budget.memory.bind(budget);
    charge(limit);
    expect(() => {
      charge(1);
    }).toThrow(/for a file of its size$/);
  });

  test.each([
    [1_000, 69_536],
    [1e12, 10_000_000],
  ])('a file of %d bytes: operations', (fileBytes, limit) => {
    const budget = new PickleBudget(fileBytes, fail);
    for (let i = 0; i < limit; i += 1) budget.operation();
    expect(() => {
      budget.operation();
    }).toThrow(`over ${limit} operations`);
  });
});

describe('a call costs as much as its arguments are long', () => {
  const expensive: [string, Uint8Array, Uint8Array, RegExp][] = [
    ['OrderedDict', global('collections', 'OrderedDict'), tuple(list(repeat(pair, 60))), /elements|memory/],
    ['Counter', global('collections', 'Counter'), tuple(dict(keys)), /elements|memory/],
    ['set', global('__builtin__', 'set'), tuple(list(ones(60))), /elements/],
    ['torch.Size', global('torch', 'Size'), tuple(axes), /elements/],
    ['a tensor', rebuild('_rebuild_tensor'), tuple(storage({}), number(0), axes, axes), /elements/],
    ['_codecs.encode', global('_codecs', 'encode'), tuple(text(long), text('latin1')), /memory/],
    [
      'a bytearray of a str',
      global('__builtin__', 'bytearray'),
      tuple(text(long), text('latin-1')),
      /memory/,
    ],
  ];
  const rebuilt = expensive[4]?.[2] ?? raw('');
  const outer = tuple(rebuild('_rebuild_tensor'), global('torch', 'Tensor'), rebuilt, dict({}));
  expensive.push(['a tensor of a type', global('torch._tensor', '_rebuild_from_type_v2'), outer, /elements/]);

  test.each(expensive)('%s', async (_, callee, args, message) => {
    for (const keep of [false, true]) {
      const error = await expectReject(read(calls(callee, args, 3_000, keep)), 'ERR_FILE_FORMAT', message);
      expect(error.message).toMatch(/for a file of its size$/);
    }
  });
});

describe('what a byte of the pickle may make', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['dicts', repeat(raw('}'), 100_000), /memory/],
    ['sets', repeat(raw(0x8f), 200_000), /memory/],
    ['dicts in the memo', repeat(raw('}', 0x94), 100_000), /memory/],
    [
      'a long key that equals another',
      Buffer.concat([
        remembered(0, text(long)),
        remembered(1, text(long)),
        raw('}'),
        repeat(raw('h', 0, 'Nsh', 1, 'Ns'), 1_000),
      ]),
      /elements/,
    ],
    [
      'a dict of many items at once',
      Buffer.concat([raw('}('), repeat(raw('NN'), 2 ** 17 + 1), raw('u')]),
      /131073 items at once/,
    ],
    [
      'an OrderedDict of many pairs at once',
      call(global('collections', 'OrderedDict'), list(repeat(raw(')'), 2 ** 17 + 1))),
      /131073 items at once/,
    ],
    ['a million items at once', list(ones(2 ** 20)), /over 1048576 values on its stack/],
    ['a million marks', repeat(raw('('), 2 ** 20 + 1), /over 1048576 marks on its stack/],
    [
      'a value a million times',
      Buffer.concat([raw('Nq', 0), repeat(raw('h', 0), 2 ** 20)]),
      /over 1048576 values on its stack/,
    ],
    ['an integer of 2^31 bytes', raw(0x8b, 0, 0, 0, 0x80), /integer of 2147483648 bytes/],
    ['a string of 4 GiB', raw('X', 0xff, 0xff, 0xff, 0xff, 'abc'), /truncated/],
    ['bytes of 2^62 bytes', raw(0x8e, 0, 0, 0, 0, 0, 0, 0, 0x40, 'abc'), /truncated/],
    [
      'a bytearray of a number',
      call(global('__builtin__', 'bytearray'), number(2 ** 40)),
      /not made from bytes/,
    ],
    [
      'a codec that expands',
      call(global('_codecs', 'encode'), text('x'), text('zlib')),
      /neither latin1 nor utf-8/,
    ],
  ])('%s', async (_, value, message) => {
    await expectReject(read(pickle(value)), 'ERR_FILE_FORMAT', message);
  });

  test('it is the size of the file that counts, where the pickle is compressed', async () => {
    const bytes = pickle(list(ones(500_000)));
    expect(await read(bytes)).toHaveLength(500_000);
    await expectReject(read(bytes, 1_000), 'ERR_FILE_FORMAT', /over 69536 /);
  });
});

describe('long operations', () => {
  const fail = formatErrors('x.pt');
  const context = { fail, budget: new PickleBudget(1e7, fail), pause: jest.fn(() => Promise.resolve()) };
  beforeEach(() => {
    context.pause.mockClear();
  });
  const items = Array.from({ length: 80_000 }, (_, i) => `k${i}`);
  const pairs = items.map((item): PickleValue => [item, null]);
  const counts = new PickledDict();
  for (const item of items) counts.set(item, 1);

  test('many items of a dict are set in slices', async () => {
    const target = new PickledDict();
    await setItems(target, items, context);
    expect(target.entries.get('k79998')).toBe('k79999');
    expect(target.size).toBe(40_000);
    expect(context.pause.mock.calls.length).toBeGreaterThan(100);
  });

  test.each<[string, PickleValue]>([
    ['collections.OrderedDict', pairs],
    ['collections.Counter', counts],
  ])('%s is made in slices', async (name, argument) => {
    const made = await construct({ kind: 'constructor', name }, [argument], context);
    expect(made).toMatchObject({ size: 80_000 });
    expect(context.pause.mock.calls.length).toBeGreaterThan(100);
  });

  test('the machine waits for them', async () => {
    const many = items.slice(0, 5_000).map((item) => Buffer.concat([text(item), raw('N')]));
    for (const value of [
      Buffer.concat([raw('}('), ...many, raw('u')]),
      Buffer.concat([raw('('), ...many, raw('d')]),
    ]) {
      expect(await read(pickle(value))).toMatchObject({ size: 5_000 });
      expect(await read(pickle(call(global('collections', 'Counter'), value)))).toMatchObject({
        size: 5_000,
      });
    }
  });

  test('a list or set keeps its first million items', async () => {
    const million = Buffer.concat([raw('('), ones(600_000), raw('e')]);
    expect(await read(pickle(raw(']'), million, million))).toHaveLength(2 ** 20);
    const added = Buffer.concat([raw('('), ones(600_000), raw(0x90)]);
    const set = (await read(pickle(raw(0x8f), added, added))) as { items: unknown[] };
    expect(set.items).toHaveLength(2 ** 20);
  });

  test('a dict of over a million strings', async () => {
    const dictOf = (size: number): PickledDict => {
      const large = new PickledDict();
      for (let i = 0; i < size; i += 1) large.entries.set(`k${i}`, null);
      return large;
    };
    const full = dictOf(2 ** 20);
    await setItems(full, ['k0', 1, 2, 3], context);
    expect(full.entries.get('k0')).toBe(1);
    expect(() => setItems(full, ['new', 1], context)).toThrow('a dict of over 1048576 string keys');
  });
});

describe('what costs nothing', () => {
  test('deep nesting needs no deep recursion', async () => {
    const depth = 200_000;
    let value = await read(raw(']'.repeat(depth), 'a'.repeat(depth - 1), '.'));
    let found = 0;
    for (; Array.isArray(value); value = value[0] ?? null) found += 1;
    expect(found).toBe(depth);
  });

  test('a tuple that doubles by the memo is one value', async () => {
    const doubled = repeat(raw('h', 0, 'h', 0, 0x86, 'q', 0, '0'), 1_000);
    expect(await read(pickle(raw('N'), remembered(0, raw('N')), doubled, raw('h', 0, '0')))).toBeNull();
  });

  test('keys that are not strings are not hashed: a file could choose colliding ones', async () => {
    // V8 hashes a bigint by its low 64 bits, which are the same in all of these.
    const key = Buffer.alloc(13);
    const items = Array.from({ length: 2_000 }, (_, i) => {
      key.writeUInt32LE(i + 1, 8);
      return Buffer.concat([raw(0x8a, 13), key, raw('N')]);
    });
    const value = await read(pickle(raw('}('), ...items, raw('u')));
    expect(value).toMatchObject({ size: 2_000, entries: new Map() });
  });

  test('the event loop turns while a long pickle is read', async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    // A million operations take some fifty milliseconds, a slice eight.
    await read(pickle(list(ones(1_000_000))));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(2);
  });
});
