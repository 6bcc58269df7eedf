import path from 'node:path';

import { bytesSource } from '../../../lib/formats/byte-source';
import { readIndex } from '../../../lib/formats/safetensors-index';
import { expectReject } from './support';

const INDEX = path.join('models', 'model.safetensors.index.json');
const read = (text: string) => readIndex(bytesSource(Buffer.from(text)), INDEX);
const shard = (name: string): string => JSON.stringify({ weight_map: { a: name } });

test('groups the tensors by shard, beside the index', async () => {
  const shards = await read(
    '{"metadata": {"total_size": 12, "more": [1.5, {"x": null}]}, "weight_map": {"a": "1.st", "b": "2.st", "c": "1.st"}}\n',
  );
  expect([...shards].map(([file, names]) => [file, [...names]])).toEqual([
    [path.join('models', '1.st'), ['a', 'c']],
    [path.join('models', '2.st'), ['b']],
  ]);
});

test.each([
  '../1.st',
  '..',
  '.',
  '',
  '/etc/passwd',
  'sub/1.st',
  String.raw`sub\1.st`,
  'C:1.st',
  String.raw`C:\1.st`,
  String.raw`\\host\share`,
  'a:b',
  'a\0b',
])('the shard %j is refused', async (name) => {
  await expectReject(read(shard(name)), 'ERR_FILE_FORMAT', `${INDEX}: the shard`);
});

test.each([
  ['no JSON', '{', /expected a key/],
  ['a list', '[]', /not an index of shards/],
  ['a configuration', '{"hidden_size": 4}', /without a weight_map/],
  ['a map that is a list', '{"weight_map": []}', /weight_map is not an object/],
  ['a shard that is a number', '{"weight_map": {"a": 1}}', /"a" that is not a string/],
  ['a tensor twice', '{"weight_map": {"a": "1", "a": "2"}}', /"a" twice/],
  ['two maps', '{"weight_map": {}, "weight_map": {}}', /twice/],
  ['text after it', '{"weight_map": {}} x', /trailing characters/],
  ['a deep value', `{"x": ${'['.repeat(100)}`, /nested too deeply/],
  ['a long value', `{"x": [${'0,'.repeat(2 ** 20)}0]}`, /too long/],
])('%s is refused', async (_, text, message) => {
  await expectReject(read(text), 'ERR_FILE_FORMAT', message);
});

test('an index over the limit is not read', async () => {
  const source = { size: 100_000_001, read: () => Promise.reject(new Error('was read')) };
  await expectReject(readIndex(source, INDEX), 'ERR_FILE_FORMAT', /over the limit of 100000000/);
});
