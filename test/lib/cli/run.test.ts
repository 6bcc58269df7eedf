import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { main } from '../../../lib/cli/main';
import { loadNpy, loadWeights, saveNpy, saveSafetensors } from '../../../lib/files';
import type { StateDict } from '../../../lib/modules/state-dict';
import { TokenLearner } from '../../../lib/modules/token-learner';
import { TokenLearnerV11 } from '../../../lib/modules/token-learner-v11';
import { Tensor } from '../../../lib/tensor/tensor';
import { serializeNpy } from '../../../lib/formats/npy-write';
import { FIXTURES } from '../formats/support';
import { npyOf, zip } from '../formats/zip';
import { captureStreams } from './support';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-run-'));
const file = (name: string): string => path.join(folder, name);
const CHECKPOINT = path.join(FIXTURES, 'model-and-ema.pt');
const written = captureStreams();
beforeAll(async () => {
  await saveNpy(file('x.npy'), Tensor.randn([2, 4, 5, 5]));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const runOn = (input: string, ...options: string[]): Promise<number> =>
  main(['node', 'tokenlearner', 'run', '-q', '-i', file(input), '-o', file('y.npy'), ...options]);
const run = (...options: string[]): Promise<number> => runOn('x.npy', ...options);

async function expectOutputOf(weights: StateDict): Promise<void> {
  const model = TokenLearner.fromStateDict(weights);
  const expected = model.forwardSync((await loadNpy(file('x.npy'))).to('float32'));
  expect((await loadNpy(file('y.npy'))).data).toEqual(expected.data);
}

test('--key chooses the state dict of a checkpoint', async () => {
  for (const key of ['model', 'ema']) {
    expect([await run('-w', CHECKPOINT, '--key', key), written.errors]).toEqual([0, '']);
    await expectOutputOf(await loadWeights(CHECKPOINT, { key }));
  }
});

test('weights are read by their content, under a prefix', async () => {
  const weights = await loadWeights(CHECKPOINT, { key: 'ema' });
  const entries = Object.entries(weights).map(([name, tensor]) => [`encoder.${name}`, tensor]);
  const more = { ...(Object.fromEntries(entries) as StateDict), other: Tensor.ones([1]) };
  await saveSafetensors(file('weights.pth'), more);
  expect(await run('-w', file('weights.pth'), '--prefix', 'encoder.')).toBe(0);
  await expectOutputOf(weights);
  expect(await run('-w', file('weights.pth'), '--prefix', 'decoder.')).toBe(1);
  expect(written.errors).toMatch(
    /under "decoder\.", but .* a TokenLearner under "encoder\." \[ERR_STATE_DICT\]/,
  );
});

test('--prefix names a module, with or without the separator, and its tensors alone are read', async () => {
  const weights = await loadWeights(CHECKPOINT, { key: 'ema' });
  const under = (prefix: string): StateDict =>
    Object.fromEntries(Object.entries(weights).map(([name, tensor]) => [prefix + name, tensor]));
  const step = { name: 'step.npy', data: npyOf('|i1', Buffer.alloc(6)) };
  const arrays = Object.entries({ ...under('model.'), ...under('model_ema/') }).map(
    ([name, { data, shape, dtype }]) => ({
      name: `${name}.npy`,
      data: serializeNpy({ data, shape: [...shape], dtype }),
    }),
  );
  writeFileSync(file('two.npz'), zip([step, ...arrays]));
  for (const prefix of ['model', 'model.', 'model/', 'model_ema', 'model_ema/']) {
    expect([await run('-w', file('two.npz'), '--prefix', prefix), written.errors]).toEqual([0, '']);
    await expectOutputOf(weights);
  }
  expect(await run('-w', file('two.npz'))).toBe(1);
  expect(written.errors).toContain('choose one with --prefix: "model.", "model_ema/"');
});

test.each([
  ['--pooling', 'mean'],
  ['--eps', '1e-5'],
  ['--variant', 'a'],
  ['--pixels', 'flat'],
])('%s is not for a TokenLearner: wrong usage', async (option, value) => {
  const given = ['-w', CHECKPOINT, '--key', 'ema', option, value];
  expect(await run(...given)).toBe(2);
  expect(written.errors).toContain(`${option} is not for a TokenLearner [ERR_INVALID_ARG_VALUE]`);
});

test('the names and shapes tell a TokenLearnerV11', async () => {
  const model = new TokenLearnerV11({
    dim: 4,
    numOutputTokens: 3,
    eps: 1e-5,
    approximate: 'none',
    device: 'cpu',
  });
  const entries = Object.entries(model.stateDict()).map(([name, tensor]) => [`learner.${name}`, tensor]);
  await saveSafetensors(file('v11.safetensors'), Object.fromEntries(entries) as StateDict);
  await saveNpy(file('last.npy'), (await loadNpy(file('x.npy'))).permute([0, 2, 3, 1]).contiguous());
  const x = (await loadNpy(file('x.npy'))).to('float32');
  const own = ['-w', file('v11.safetensors'), '--eps', '1e-5', '--approximate', 'none'];
  for (const [input, ...more] of [['x.npy'], ['last.npy', '--input-layout', 'channels-last']] as const) {
    expect([await runOn(input, ...own, ...more), written.errors]).toEqual([0, '']);
    expect((await loadNpy(file('y.npy'))).data).toEqual(model.forwardSync(x).data);
  }
  const flat = ['--input-layout', 'channels-last', '--pixels', 'flat'];
  expect(await runOn('last.npy', ...own, ...flat)).toBe(0);
  const last = x.permute([0, 2, 3, 1]).contiguous();
  const tokens = model.forwardSync(last, { inputLayout: 'channels-last', pixels: 'flat' });
  expect((await loadNpy(file('y.npy'))).equals(tokens)).toBe(true);
  expect(await run('-w', CHECKPOINT, '--key', 'ema', ...flat)).not.toBe(0);
  expect(written.errors).toMatch(/pixels/);
  expect(await run('-w', CHECKPOINT, '--key', 'ema', '--eps', '1e-5')).toBe(2);
  expect(written.errors).toMatch(/eps/);
  expect(await run(...own, '--engine', 'grouped-conv')).toBe(2);
  expect(written.errors).toMatch(/grouped-conv/);
  expect(await run(...own, '--eps', '-1')).toBe(2);
});

test('a file that is not weights is named', async () => {
  expect(await run('-w', file('x.npy'))).toBe(1);
  expect(written.errors).toMatch(/this is a NumPy array .*\[ERR_FILE_FORMAT\]/);
});

test('the ending of --output and --attention decides the format', async () => {
  const weights = ['-w', CHECKPOINT, '--key', 'ema'];
  expect(await run(...weights)).toBe(0);
  const expected = await loadNpy(file('y.npy'));
  for (const name of ['y.npz', 'y.safetensors', 'Y.NPZ']) {
    expect(await run(...weights, '-a', file(name))).toBe(0);
    expect((await loadWeights(file(name))).array?.shape).toEqual([2, 8, 5, 5]);
    const given = ['run', '-q', '-i', file('x.npy'), '-o', file(name), ...weights];
    expect([await main(['node', 'tokenlearner', ...given]), written.errors]).toEqual([0, '']);
    expect((await loadWeights(file(name))).array?.data).toEqual(expected.data);
  }
});
