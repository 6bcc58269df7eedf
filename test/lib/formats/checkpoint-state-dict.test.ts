import { parseCheckpoint, readCheckpoint } from '../../../lib/formats/checkpoint';
import { checkpoint, elements } from './checkpoint-writer';
import { dict, none, number, raw, tensor, text, tuple } from './pickle-writer';
import { expectReject, FIXTURES } from './support';

const one = tensor({ offset: 1, shape: [1], strides: [1] });
const two = tensor({ offset: 2, shape: [1], strides: [1] });
const three = tensor({ offset: 3, shape: [1], strides: [1] });
const of = (w: Uint8Array): Buffer => dict({ w });
const at = async (value: Uint8Array, key?: string): Promise<unknown[]> =>
  elements(await parseCheckpoint(checkpoint(value), key === undefined ? {} : { key }));
const namesIn = async (value: Uint8Array, key?: string): Promise<string[]> =>
  Object.keys(await parseCheckpoint(checkpoint(value), key === undefined ? {} : { key }));
const refused = (value: Uint8Array, message: RegExp | string, key?: string): Promise<unknown> =>
  expectReject(at(value, key), 'ERR_FILE_FORMAT', message);

describe('without a key', () => {
  test('the dict itself when it holds tensors alone', async () => {
    expect(await at(dict({ w: one, state_dict: two }))).toEqual([1]);
  });

  test.each(['state_dict', 'model_state_dict', 'model'])('what lies under %s', async (key) => {
    expect(
      await at(dict({ epoch: number(1), [key]: of(two), optimizer: dict({ state: of(three) }) })),
    ).toEqual([2]);
    expect(await at(dict({ rng_state: one, [key]: of(two) }))).toEqual([2]);
  });

  test('values that hold no tensors do not count', async () => {
    for (const empty of [none, dict({}), dict({ a: dict({}) }), dict({ lr: number(1) }), raw(']')]) {
      expect(await at(dict({ state_dict: empty, model_state_dict: empty, model: of(one) }))).toEqual([1]);
      expect(await at(dict({ model: empty, state_dict: of(one), ema: empty }))).toEqual([1]);
    }
  });

  test('several are an error that lists them', async () => {
    const all = { state_dict: of(one), model_state_dict: of(two), model: of(three) };
    await refused(
      dict(all),
      /several state dicts; choose one with `key`: "state_dict", "model_state_dict", "model"$/,
    );
    await refused(
      dict({ ...all, model: none, state_dict: dict({}), ema: of(one) }),
      /`key`: "model_state_dict", "ema"$/,
    );
    await refused(
      dict({ w: one, epoch: number(1), ema: of(one) }),
      /"ema", or "" for the checkpoint itself$/,
    );
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`m${i}`, of(one)]));
    await refused(dict({ model: of(one), ...many }), /"m8", \.\.\.$/);
  });

  test('one dict under two keys is one', async () => {
    const value = Buffer.concat([
      raw('}('),
      text('ema'),
      of(one),
      raw('q', 0),
      text('model'),
      raw('h', 0, 'u'),
    ]);
    expect(await at(value)).toEqual([1]);
  });

  test('options with a tensor among them are not a state dict', async () => {
    expect(await at(dict({ model: of(one), args: dict({ lr: number(1), weights: two }) }))).toEqual([1]);
  });

  test('none is an error that lists the keys', async () => {
    await refused(dict({ ema: of(one), epoch: number(3) }), /choose one with `key`: it has "ema", "epoch"$/);
    await refused(dict({ state_dict: dict({}) }), /holds no tensors under .*it has "state_dict"$/);
    await refused(raw('}K', 1, 'K', 2, 's'), /it has no string keys$/);
    await refused(tuple(of(one)), /a list or tuple, not a state dict/);
  });

  test('an empty dict is a state dict', async () => {
    expect(await namesIn(dict({}))).toEqual([]);
  });

  test('values beside tensors are left out', async () => {
    const extra = dict({ scale: two });
    for (const other of [none, extra, number(3), text('x'), raw(']'), tuple(one), raw(0x8f)])
      expect(await namesIn(dict({ w: one, 'bn._extra_state': other, _extra_state: other }))).toEqual(['w']);
    expect(await namesIn(dict({ w: one, epoch: number(3), note: text('x'), state: dict({}) }))).toEqual([
      'w',
    ]);
    expect(await namesIn(dict({ model: dict({ w: one, epoch: number(3) }) }))).toEqual(['w']);
  });

  test("a module's extra state is neither a candidate nor part of one", async () => {
    const scale = dict({ scale: two });
    expect(await at(dict({ model: of(one), _extra_state: scale, 'bn._extra_state': scale }))).toEqual([1]);
    const average = dict({ w: one, 'bn._extra_state': none });
    await refused(dict({ model: of(one), ema: average }), /`key`: "model", "ema"$/);
  });

  test('keys of tensors must be strings', async () => {
    await refused(Buffer.concat([raw('}'), number(1), tensor(), raw('s')]), /a number as a key/);
    expect(await namesIn(Buffer.concat([of(one), number(1), none, raw('s')]))).toEqual(['w']);
  });

  test('a dict that holds itself', async () => {
    const value = Buffer.concat([raw('}q', 0, '('), text('model'), raw('h', 0), text('w'), one, raw('u')]);
    expect(await namesIn(value)).toEqual(['w']);
    expect(await namesIn(value, 'model.model.model')).toEqual(['w']);
  });
});

describe('with a key', () => {
  const nested = dict({
    model: dict({ state_dict: of(one), epoch: number(3), 'a.b': dict({ c: of(two) }) }),
  });

  test('dots lead into nested dicts', async () => {
    expect(await at(nested, 'model.state_dict')).toEqual([1]);
    expect(await at(nested, 'model.a.b.c')).toEqual([2]);
  });

  test('a key with the very name wins', async () => {
    const both = dict({ model: dict({ state_dict: of(one) }), 'model.state_dict': of(two), '': of(three) });
    expect(await at(both, 'model.state_dict')).toEqual([2]);
    expect(await at(both, '')).toEqual([3]);
  });

  test('the empty key is the checkpoint itself', async () => {
    expect(await at(dict({ w: one, epoch: number(1), ema: of(two) }), '')).toEqual([1]);
  });

  test('an empty state dict may be asked for', async () => {
    expect(await namesIn(dict({ state_dict: dict({}), model: of(one) }), 'state_dict')).toEqual([]);
  });

  test.each<[string, RegExp]>([
    ['x', /no key "x"; it has "model"$/],
    ['', /the value of "" is not a state dict: its value for "model" is a dict, not a tensor/],
    ['model.x', /no key "model\.x"; it has "state_dict", "epoch", "a\.b" under "model"$/],
    ['model.epoch.x', /no key "model\.epoch\.x": the value under "model\.epoch" is a number/],
    ['model.state_dict.w', /the value of "model\.state_dict\.w" is a tensor, not a state dict/],
    ['model.epoch', /the value of "model\.epoch" is a number, not a state dict/],
    ['toString', /no key "toString"/],
    ['model.', /no key "model\."/],
  ])('%s', async (key, message) => {
    await refused(nested, message, key);
  });
});

/** The same TokenLearner weights, saved in the ways of training scripts, by PyTorch. */
describe('checkpoints of training scripts', () => {
  const names = ['net.0.weight', 'net.0.bias', 'net.2.weight', 'net.2.bias'];
  const load = (name: string, options = {}) => readCheckpoint(`${FIXTURES}/${name}`, options);

  test('a Counter in the state of the scheduler', async () => {
    expect(Object.keys(await load('multistep.pt'))).toEqual(names);
  });

  test('an empty state dict before a full one', async () => {
    expect(Object.keys(await load('empty-state_dict-first.pt'))).toEqual(names);
    expect(Object.keys(await load('empty-state_dict-first.pt', { key: 'state_dict' }))).toEqual([]);
  });

  test("a module's extra state", async () => {
    expect(Object.keys(await load('extra-state.pt'))).toEqual(names);
  });

  test('a tensor of uint16 beside the weights', async () => {
    const all = await load('uint16-beside.pt');
    expect(Object.keys(all)).toEqual([...names, 'quant.scale']);
    expect(all['quant.scale']).toMatchObject({ dtype: 'int32' });
    const weights = await load('uint16-beside.pt', { filter: (name: string) => name.startsWith('net.') });
    expect(Object.keys(weights)).toEqual(names);
  });

  test('the weights and their moving average', async () => {
    await expectReject(
      load('model-and-ema.pt'),
      'ERR_FILE_FORMAT',
      /several state dicts.*`key`: "model", "ema"$/,
    );
    const [model, ema] = [
      await load('model-and-ema.pt', { key: 'model' }),
      await load('model-and-ema.pt', { key: 'ema' }),
    ];
    expect(Object.keys(ema)).toEqual(names);
    expect(elements(ema, 'net.0.bias')).not.toEqual(elements(model, 'net.0.bias'));
  });
});
