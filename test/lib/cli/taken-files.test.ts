/** A result never replaces what a command reads, by whatever name. */
import { spawnSync } from 'node:child_process';
import { closeSync, linkSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { saveNpy, saveSafetensors, Tensor, TokenLearner } from '../../../lib';
import { main } from '../../../lib/cli/main';
import { filesOfWeights, TakenFiles } from '../../../lib/cli/taken-files';
import { temporaryFolder } from '../libtorch/support';
import { captureStreams } from './support';

const MAIN = path.resolve(__dirname, '..', '..', '..', 'dist', 'cli', 'main.js');
const folder = temporaryFolder();
const file = (...names: string[]): string => path.join(folder, ...names);
const written = captureStreams();
const onLinux = process.platform === 'linux' ? it : it.skip;

/** Files that the commands read. */
const READ = ['w.safetensors', 'shard.safetensors', 'index.json', 'x.npy', 'photo.png', 'model.mjs'];
const contents = (): Buffer[] => READ.map((name) => readFileSync(file(name)));

beforeAll(async () => {
  const weights = new TokenLearner({ dim: 3, numOutputTokens: 2, device: 'cpu' }).stateDict();
  await saveSafetensors(file('w.safetensors'), weights);
  await saveSafetensors(file('shard.safetensors'), weights);
  const map = Object.fromEntries(Object.keys(weights).map((name) => [name, 'shard.safetensors']));
  writeFileSync(file('index.json'), JSON.stringify({ weight_map: map }));
  await saveNpy(file('x.npy'), Tensor.ones([1, 3, 2, 2]));
  const picture = { create: { width: 4, height: 4, channels: 3, background: 'teal' } } as const;
  await sharp(picture).png().toFile(file('photo.png'));
  writeFileSync(file('model.mjs'), 'export default {};\n');
  mkdirSync(file('features'));
  await saveNpy(file('features', 'w.npy'), Tensor.ones([1, 3, 2, 2]));
  await saveNpy(file('features', 'shard.npy'), Tensor.ones([1, 3, 2, 2]));
  symlinkSync(file('x.npy'), file('link.npy'));
  symlinkSync(file('w.safetensors'), file('link.npz'));
  symlinkSync(folder, file('here'));
  symlinkSync(file('photo.png'), file('link.png'));
  symlinkSync(file('model.mjs'), file('model.png'));
  symlinkSync(file('none.npy'), file('nowhere.npy'));
});

const W = ['-w', file('w.safetensors')];
const INDEX = ['-w', file('index.json')];
const X = ['-i', file('x.npy')];
const PHOTO = ['-i', file('photo.png')];
const INTO = ['--output-dir', file('here'), '--format', 'safetensors'];

it.each<[string[], RegExp]>([
  [['run', ...W, ...X, '-o', file('here', 'w.safetensors')], /--output is a file of the weights/],
  [['run', ...INDEX, ...X, '-o', file('shard.safetensors')], /--output is a file of the weights/],
  [['run', ...W, ...X, '-o', file('x.npy')], /--output is the file of --input/],
  [['run', ...W, ...X, '-o', file('link.npy')], /--output is the file of --input/],
  [['run', ...W, ...X, '-o', file('y.npy'), '-a', file('link.npy')], /--attention is the file of --input/],
  [['run', ...W, ...X, '-o', file('nowhere.npy'), '-a', file('none.npy')], /--attention is the file of --o/],
  [['run', ...W, '-i', file('features', 'w.npy'), ...INTO], /would replace a file of the weights/],
  [['run', ...INDEX, '-i', file('features', 'shard.npy'), ...INTO], /would replace a file of the weights/],
  [['visualize', ...W, ...PHOTO, '-o', file('photo.png')], /--output is a file of --input/],
  [['visualize', ...W, ...X, '-p', file('photo.png'), '-o', file('link.png')], /is a file of --picture/],
  [['visualize', '-m', file('model.mjs'), ...PHOTO, '-o', file('model.png')], /is the file of --model/],
  [['convert', file('w.safetensors'), file('here', 'w.safetensors'), '--dtype', 'float16'], /of the input/],
  [['convert', file('w.safetensors'), file('link.npz')], /the output is a file of the input/],
  [['convert', file('index.json'), file('shard.safetensors')], /the output is a file of the input/],
])('%j is wrong usage, and all files stay', async (args, message) => {
  const before = contents();
  expect(await main(['node', 'tokenlearner', ...args])).toBe(2);
  expect(written.errors).toMatch(message);
  expect(contents()).toEqual(before);
});

onLinux('the file on standard input is one that is read', () => {
  const before = contents();
  const input = openSync(file('x.npy'), 'r');
  const args = [MAIN, 'run', ...W, '-i', '-', '-o', file('x.npy')];
  const { status, stderr } = spawnSync(process.execPath, args, { stdio: [input, 'pipe', 'pipe'] });
  closeSync(input);
  expect([status, String(stderr)]).toEqual([2, expect.stringMatching(/--output is the file of --input/)]);
  expect(contents()).toEqual(before);
});

it('a file of its own, a device and standard output are free', () => {
  const taken = new TakenFiles().reads([file('x.npy'), '/dev/null', '-'], 'an input');
  linkSync(file('w.safetensors'), file('other-name.safetensors'));
  for (const name of [file('y.npy'), file('here', 'z.npy'), '/dev/null', '-'])
    expect(taken.claim(name, 'a result')).toBeUndefined();
  taken.reads([file('w.safetensors')], 'the weights');
  expect(taken.claim(file('other-name.safetensors'), 'a result')).toBe('the weights');
  expect(taken.claim(file('here', 'y.npy'), 'a result')).toBe('a result');
});

it('links in a circle, and weights that are not there, are left to those who open them', async () => {
  symlinkSync(file('circle'), file('circle'));
  expect(new TakenFiles().claim(file('circle'), 'a result')).toBeUndefined();
  expect(await filesOfWeights(file('none'))).toEqual([file('none')]);
});
