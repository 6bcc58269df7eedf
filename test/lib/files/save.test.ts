import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';

import { loadNpy, loadNpz, loadSafetensors, saveNpy, saveNpz, saveSafetensors } from '../../../lib/files';
import { saveCheckpoint, saveFlax } from '../../../lib/files/save';
import { type AnyTensor, Tensor } from '../../../lib/tensor/tensor';
import { expectReject, turnsDuring } from '../formats/support';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-save-'));
const file = path.join(folder, 'saved');
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Moves the memory of a typed array away, as postMessage does with a transfer list. */
function transfer(array: { buffer: ArrayBufferLike }): void {
  structuredClone(null, { transfer: [array.buffer as ArrayBuffer] });
}

type Save = (tensor: AnyTensor) => Promise<void>;
type Load = () => Promise<AnyTensor | undefined>;
const formats: [string, Save, Load][] = [
  ['safetensors', (a) => saveSafetensors(file, { a }), async () => (await loadSafetensors(file)).a],
  ['npz', (a) => saveNpz(file, { a }), async () => (await loadNpz(file)).a],
  ['npy', (a) => saveNpy(file, a), () => loadNpy(file)],
];

/** Over what is copied at the call, and of more than one chunk. */
const LARGE = 9 * 2 ** 20;

describe.each(formats)('%s', (_, save, load) => {
  test("values are those of the call, whatever happens to a caller's array meanwhile", async () => {
    const values = Float32Array.of(1, 2, 3);
    const saving = save(Tensor.from(values));
    values.fill(9);
    transfer(values);
    await saving;
    expect([...((await load())?.data as Float32Array)]).toEqual([1, 2, 3]);
  });

  test('values are those of the call, whatever happens to the tensor meanwhile', async () => {
    const tensor = Tensor.full([3], 5);
    const saving = save(tensor);
    tensor.data.fill(9);
    tensor.dispose();
    await saving;
    expect([...((await load())?.data as Float32Array)]).toEqual([5, 5, 5]);
  });

  test('a large tensor may be disposed meanwhile', async () => {
    const tensor = Tensor.ones([LARGE]);
    const saving = save(tensor);
    tensor.dispose();
    await saving;
    const loaded = await load();
    expect(loaded?.numel).toBe(LARGE);
    expect((loaded?.data as Float32Array).every((value) => value === 1)).toBe(true);
  });

  test('a large tensor that is not contiguous is written in C order', async () => {
    const tensor = Tensor.from(
      Float32Array.from({ length: LARGE }, (_, i) => i),
      [9 * 2 ** 10, 2 ** 10],
    ).transpose(0, 1);
    const expected = tensor.contiguous();
    const saving = save(tensor);
    tensor.dispose();
    await saving;
    const loaded = await load();
    expect(loaded?.shape).toEqual([2 ** 10, 9 * 2 ** 10]);
    const bytes = ({ data }: AnyTensor): Buffer => Buffer.from(data.buffer);
    expect(loaded !== undefined && bytes(loaded).equals(bytes(expected))).toBe(true);
  });

  test("tensors stay their owner's", async () => {
    for (const tensor of [Tensor.ones([3]), Tensor.ones([LARGE]), Tensor.ones([2, 3]).transpose(0, 1)]) {
      await save(tensor);
      expect(tensor.disposed).toBe(false);
    }
  });

  test('a large array that is transferred meanwhile leaves the old file', async () => {
    writeFileSync(file, 'old');
    const values = new Float32Array(LARGE);
    const saving = save(Tensor.from(values));
    transfer(values);
    await expectReject(
      saving,
      'ERR_DETACHED',
      /was detached \(transferred\) while it was saved; no file was changed/,
    );
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['saved']);
  });
});

test('many small tensors: the event loop turns, and each gets its content', async () => {
  const count = 3000;
  const names = Array.from({ length: count }, (_, i) => `t${i}`);
  const dict = Object.fromEntries(names.map((name, i): [string, AnyTensor] => [name, Tensor.full([2], i)]));
  // Three times for each tensor: when it is taken, checked, and described in the header.
  expect(await turnsDuring(() => saveSafetensors(file, dict))).toBeGreaterThanOrEqual(3 * count);
  const loaded = await loadSafetensors(file);
  expect(names.filter((name, i) => loaded[name]?.data[1] !== i)).toEqual([]);
});

test('what was transferred before is refused', async () => {
  const values = new Float32Array(2);
  const tensor = Tensor.from(values);
  transfer(values);
  await expectReject(saveNpy(file, tensor), 'ERR_DETACHED', /./);
});

test('a file URL', async () => {
  await saveNpy(pathToFileURL(file), Tensor.ones([2]));
  await saveSafetensors(pathToFileURL(`${file}.safetensors`), { a: Tensor.ones([2]) });
  expect((await loadNpy(file)).shape).toEqual([2]);
  expect(Object.keys(await loadSafetensors(`${file}.safetensors`))).toEqual(['a']);
});

test('float16 and bfloat16 are saved as their bits', async () => {
  for (const dtype of ['float16', 'bfloat16'] as const) {
    const tensor = Tensor.from([1, -2.5], [2], { dtype });
    await saveSafetensors(file, { tensor });
    const { tensor: loaded } = await loadSafetensors(file);
    expect(loaded?.dtype).toBe(dtype);
    expect([...(loaded?.to('float32').data ?? [])]).toEqual([1, -2.5]);
  }
});

test.each([
  ['an unknown option', { meta: {} }, 'ERR_INVALID_ARG_VALUE'],
  ['options that are none', 3, 'ERR_INVALID_ARG_TYPE'],
] as const)('%s is refused', async (_, options, code) => {
  await expectReject(saveSafetensors(file, {}, options as never), code, '`options`');
  await expectReject(saveNpy(file, Tensor.ones([1]), options as never), code, '`options`');
});

describe('what is no dict of tensors leaves the old file', () => {
  const dict = Promise.resolve({ a: Tensor.ones([1]) });
  test.each<[string, (tensors: never) => Promise<void>]>([
    ['saveSafetensors', (tensors) => saveSafetensors(file, tensors)],
    ['saveNpz', (tensors) => saveNpz(file, tensors)],
    ['saveFlax', (tensors) => saveFlax(file, tensors)],
    ['saveCheckpoint', (tensors) => saveCheckpoint(file, tensors)],
  ])('%s', async (_, save) => {
    writeFileSync(file, 'old');
    await expectReject(save(dict as never), 'ERR_INVALID_ARG_TYPE', 'await it');
    for (const none of [Tensor.ones([1]), new Set([1]), new Date(), [].values(), [], null])
      await expectReject(save(none as never), 'ERR_INVALID_ARG_TYPE', 'a plain object or a Map of tensors');
    expect(readFileSync(file, 'utf8')).toBe('old');
  });

  test('a dict of another realm, and one without a prototype, are dicts', async () => {
    const foreign = runInNewContext('({})') as Record<string, Tensor>;
    for (const tensors of [foreign, Object.create(null) as typeof foreign]) {
      tensors.a = Tensor.ones([1]);
      await saveSafetensors(file, tensors);
      expect(Object.keys(await loadSafetensors(file))).toEqual(['a']);
    }
  });
});

test('bytes are not a target to save to', async () => {
  await expectReject(saveNpy(new Uint8Array(1) as never, Tensor.ones([1])), 'ERR_INVALID_ARG_TYPE', '`path`');
});
