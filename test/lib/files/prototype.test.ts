/** Properties of Object.prototype are nobody's options. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import {
  loadCheckpoint,
  loadNpy,
  loadSafetensors,
  loadWeights,
  saveNpy,
  saveSafetensors,
} from '../../../lib/files';
import { Tensor } from '../../../lib/tensor/tensor';
import { FIXTURES, withPolluted } from '../formats/support';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-prototype-'));
const file = (name: string): string => path.join(folder, name);
const fixture = (name: string): string => path.join(FIXTURES, name);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const hostile: [string, unknown][] = [
  ['key', 'ema'],
  ['filter', () => false],
  ['allocate', () => new Uint8Array(1)],
  ['table', 1],
  ['special', () => 0],
  ['kind', 'tensor'],
  ['metadata', { a: '1' }],
  ['path', '/'],
  ['code', 'EACCES'],
  ['cause', new Error('polluted')],
  ['minimal', false],
  ['validateEntrySizes', false],
  ['strictFileNames', true],
  ['maxOutputLength', 1],
  ['windowBits', 8],
];

async function everything(): Promise<unknown> {
  const loaded = [
    await loadCheckpoint(fixture('under-ema.pt'), { key: 'ema' }),
    await loadCheckpoint(fixture('model.pt')),
    await loadCheckpoint(fixture('all-deflated.pt'), {}),
    await loadWeights(fixture('under-state_dict.pt')),
    await loadSafetensors(fixture('all.safetensors')),
    await loadWeights(fixture('weights-only.pt'), { filter: (name) => name.startsWith('int') }),
    { array: await loadNpy(fixture('fortran.npy')) },
  ];
  await saveSafetensors(file('a'), { a: Tensor.ones([2, 3]) });
  await saveNpy(file('b'), Tensor.ones([3]));
  const missing: unknown = await loadWeights(fixture('none')).catch((error: unknown) => error);
  const malformed: unknown = await loadNpy(fixture('refused-int8.npy')).catch((error: unknown) => error);
  return {
    loaded: loaded.map((dict) =>
      Object.entries(dict).map(([name, { dtype, shape, data }]) => [name, dtype, shape, data]),
    ),
    saved: [readFileSync(file('a'), 'latin1'), readFileSync(file('b'), 'latin1')],
    messages: [String(missing), String(malformed), Object.hasOwn(malformed as Error, 'cause')],
  };
}

test.each(hostile)('Object.prototype.%s', async (name, value) => {
  const expected = await everything();
  expect(await withPolluted(name, value, everything)).toEqual(expected);
});
