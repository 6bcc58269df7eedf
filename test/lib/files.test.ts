import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type AnyTensor,
  Linear,
  loadCheckpoint,
  loadNpy,
  loadSafetensors,
  runtime,
  saveNpy,
  saveSafetensors,
  Tensor,
} from '../../lib';
import { DTYPES } from '../../lib/dtype';
import { readSafetensors } from '../../lib/formats/safetensors';
import { expectReject, FIXTURES } from './formats/support';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-files-'));
const file = (name: string): string => path.join(folder, name);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const sample = (dtype: AnyTensor['dtype']): AnyTensor => Tensor.from([0, 1, 1, 0, 1, 0], [2, 3], { dtype });

test.each(DTYPES)('safetensors: %s comes back', async (dtype) => {
  const tensor = sample(dtype);
  await saveSafetensors(file(`${dtype}.safetensors`), { a: tensor, 'b.c': Tensor.zeros([0, 2], { dtype }) });
  const loaded = await loadSafetensors(file(`${dtype}.safetensors`));
  expect(Object.getPrototypeOf(loaded)).toBeNull();
  expect(Object.keys(loaded).sort()).toEqual(['a', 'b.c']);
  expect(loaded.a).toMatchObject({ dtype, shape: [2, 3] });
  expect(loaded.a?.data).toEqual(tensor.data);
  expect(loaded['b.c']).toMatchObject({ dtype, shape: [0, 2] });
});

test('safetensors: views are written in their own order, metadata as given', async () => {
  const view = Tensor.from([1, 2, 3, 4], [2, 2]).transpose(0, 1);
  await saveSafetensors(file('view.safetensors'), { view }, { metadata: { format: 'pt' } });
  expect([...((await loadSafetensors(file('view.safetensors'))).view?.data as Float32Array)]).toEqual([
    1, 3, 2, 4,
  ]);
  expect((await readSafetensors(file('view.safetensors'))).metadata).toEqual({ format: 'pt' });
});

test('a module goes through a file', async () => {
  const [from, to] = [new Linear(3, 2), new Linear(3, 2)];
  await saveSafetensors(file('linear.safetensors'), from.stateDict());
  to.loadStateDict(await loadSafetensors(file('linear.safetensors')));
  expect(to.stateDict().weight?.data).toEqual(from.stateDict().weight?.data);
});

test.each(DTYPES.filter((dtype) => dtype !== 'bfloat16'))('npy: %s comes back', async (dtype) => {
  await saveNpy(file(`${dtype}.npy`), sample(dtype));
  const loaded = await loadNpy(file(`${dtype}.npy`));
  expect(loaded).toMatchObject({ dtype, shape: [2, 3] });
  expect(loaded.data).toEqual(sample(dtype).data);
});

test('npy has no bfloat16', async () => {
  await expectReject(
    saveNpy(file('bfloat16.npy'), sample('bfloat16')),
    'ERR_DTYPE_MISMATCH',
    "to('float32')",
  );
});

test('a PyTorch checkpoint becomes tensors', async () => {
  const dict = await loadCheckpoint(path.join(FIXTURES, 'under-state_dict.pt'));
  expect(Object.keys(dict).length).toBeGreaterThan(0);
  for (const tensor of Object.values(dict)) expect(tensor).toBeInstanceOf(Tensor);
});

test('saving disposes its copies', async () => {
  const view = Tensor.zeros([2, 3]).transpose(0, 1);
  const before = runtime.memory().liveTensors;
  await saveNpy(file('copy.npy'), view);
  expect(runtime.memory().liveTensors).toBeLessThanOrEqual(before);
});

const disposed = Tensor.zeros([1]);
disposed.dispose();

test.each([
  ['a value that is not a path', () => loadSafetensors(undefined as never), 'ERR_INVALID_ARG_TYPE'],
  ['a value that is not a path', () => loadNpy(3 as never), 'ERR_INVALID_ARG_TYPE'],
  ['a value that is not a path', () => saveNpy(null as never, sample('float32')), 'ERR_INVALID_ARG_TYPE'],
  ['no tensors', () => saveSafetensors(file('x'), null as never), 'ERR_INVALID_ARG_TYPE'],
  [
    'a value that is not a tensor',
    () => saveSafetensors(file('x'), { a: 3 as never }),
    'ERR_INVALID_ARG_TYPE',
  ],
  [
    'a value that is not a tensor',
    () => saveNpy(file('x'), new Float32Array(1) as never),
    'ERR_INVALID_ARG_TYPE',
  ],
  ['a disposed tensor', () => saveNpy(file('x'), disposed), 'ERR_DISPOSED'],
  ['an unknown option', () => saveSafetensors(file('x'), {}, { meta: {} } as never), 'ERR_INVALID_ARG_VALUE'],
  [
    'metadata that are not strings',
    () => saveSafetensors(file('x'), {}, { metadata: { a: 1 } } as never),
    'ERR_INVALID_ARG_TYPE',
  ],
  ['a file that is not there', () => loadSafetensors(file('none')), 'ERR_FILE_IO'],
  ['a file of another format', () => loadNpy(path.join(FIXTURES, 'all.pt')), 'ERR_FILE_FORMAT'],
] as const)('%s is refused', async (_, use, code) => {
  await expectReject(use(), code, /./);
});
