import { parseCheckpoint } from '../../../lib/formats/checkpoint';
import { serializeCheckpoint } from '../../../lib/formats/checkpoint-write';
import { byName, describedAll, expectedArrays, fixture, sample } from './support';

test('every dtype, as torch.save has it', async () => {
  const entries = await parseCheckpoint(fixture('all.pt'));
  const read = await parseCheckpoint(await serializeCheckpoint(entries));
  expect(byName(describedAll(read))).toEqual(byName(expectedArrays('all.pt')));
});

test('more tensors than picklers set at once', async () => {
  const names = Array.from({ length: 2001 }, (_, i) => `layer.${i}`);
  const entries = Object.fromEntries(names.map((name) => [name, sample('uint8', [1])]));
  expect(Object.keys(await parseCheckpoint(await serializeCheckpoint(entries)))).toEqual(names);
});

test('no tensors', async () => {
  expect(await parseCheckpoint(await serializeCheckpoint({}))).toEqual({});
});
