import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {
  manualSeed,
  saveNpy,
  saveNpz,
  saveSafetensors,
  type StateDict,
  Tensor,
  TokenLearner,
  visualize,
} from '../../../lib';
import { main } from '../../../lib/cli/main';
import { captureStreams } from './support';

const MAIN = path.resolve(__dirname, '..', '..', '..', 'dist', 'cli', 'main.js');
// Within the repository, so that a module in it finds this package by its name.
const folder = path.resolve(__dirname, '..', '..', '..', 'build', 'cli-visualize-test');
const file = (name: string): string => path.join(folder, name);
const written = captureStreams();
const call = (...args: string[]): Promise<number> => main(['node', 'tokenlearner', 'visualize', ...args]);

/** Names under a prefix, as in the weights of a whole network. */
function under(prefix: string, dict: StateDict): StateDict {
  return Object.fromEntries(Object.entries(dict).map(([name, tensor]) => [prefix + name, tensor]));
}

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  manualSeed(0);
  const [rgb, eight] = [3, 8].map((dim) =>
    new TokenLearner({ dim, numOutputTokens: 2, device: 'cpu' }).stateDict(),
  );
  await saveSafetensors(file('rgb.safetensors'), rgb ?? {});
  await saveNpz(file('eight.npz'), under('net.learner.', eight ?? {}));
  await saveSafetensors(file('two.safetensors'), { ...under('a.', rgb ?? {}), ...under('b.', eight ?? {}) });
  await saveSafetensors(file('linear.safetensors'), { weight: Tensor.ones([2, 2]) });
  await saveNpy(file('x.npy'), Tensor.randn([8, 4, 6]));
  await saveNpy(file('video.npy'), Tensor.randn([3, 8, 4, 4], { dtype: 'float64' }));
  const picture = { create: { width: 60, height: 40, channels: 3, background: 'teal' } } as const;
  await sharp(picture).jpeg().toFile(file('photo.jpg'));
  await sharp(picture).png().toFile(file('other.png'));
  writeFileSync(
    file('backbone.mjs'),
    "import { Conv2d } from 'tokenlearner';\nexport default () => new Conv2d(3, 8, 4, { stride: 4, device: 'cpu' });\n",
  );
  writeFileSync(
    file('attention.cjs'),
    "const { TokenLearner } = require('tokenlearner');\nmodule.exports = new TokenLearner({ dim: 3, numOutputTokens: 5, device: 'cpu' });\n",
  );
  writeFileSync(file('nothing.mjs'), 'export const backbone = 3;\n');
  writeFileSync(
    file('timer.mjs'),
    "setInterval(() => undefined, 1000);\nexport { default } from './attention.cjs';\n",
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const RGB = ['-w', file('rgb.safetensors')];
const EIGHT = ['-w', file('eight.npz')];

describe('writes', () => {
  it('a sheet of a photo, which is what the library makes', async () => {
    expect(await call(...RGB, '-i', file('photo.jpg'), '-o', file('sheet.png'), '--tile-size', '64')).toBe(0);
    expect([written.out, written.errors]).toEqual([
      expect.stringMatching(/^\d+ x \d+ pixels: .*sheet\.png\n$/),
      '',
    ]);
    manualSeed(0);
    const model = new TokenLearner({ dim: 3, numOutputTokens: 2, device: 'cpu' });
    const expected = await visualize(model, file('photo.jpg'), { tileSize: 64 });
    expect(readFileSync(file('sheet.png')).equals(expected.data)).toBe(true);
  });

  it('maps of features, from weights under a prefix, over a picture', async () => {
    const args = [...EIGHT, '-i', file('x.npy'), '-p', file('photo.jpg'), '-o', file('maps.webp')];
    const look = [
      '--colormap',
      'magma',
      '--opacity',
      '0.5',
      '--range',
      '-1,1',
      '--tokens',
      '1',
      '--columns',
      '2',
    ];
    expect(await call(...args, ...look, '--theme', 'auto', '--title', 'T', '-q')).toBe(0);
    expect(written.out).toBe('');
    expect(await sharp(file('maps.webp')).metadata()).toMatchObject({ format: 'webp', hasAlpha: true });
  });

  it('an animation of features (T, C, H, W), or a sheet of them', async () => {
    expect(await call(...EIGHT, '-i', file('video.npy'), '-o', file('video.gif'), '--fps', '10')).toBe(0);
    expect(written.out).toMatch(/, 3 frames: /);
    expect(await sharp(file('video.gif'), { animated: true }).metadata()).toMatchObject({
      pages: 3,
      delay: [100, 100, 100],
    });
    expect(await call(...EIGHT, '-i', file('video.npy'), '-o', file('video.webp'), '--no-animate')).toBe(0);
    expect((await sharp(file('video.webp')).metadata()).pages).toBeUndefined();
  });

  it('an animation of pictures', async () => {
    const input = ['-i', file('photo.jpg'), file('other.png')];
    expect(await call(...RGB, ...input, '-o', file('list.gif'), '--resize', '20', '--crop', '20x16')).toBe(0);
    expect((await sharp(file('list.gif'), { animated: true }).metadata()).pages).toBe(2);
  });

  it.each([
    ['a backbone and weights', [...EIGHT, '--model', file('backbone.mjs'), '--normalize', 'imagenet']],
    ['a module that gives attention, without weights', ['--model', file('attention.cjs')]],
  ])('with %s', (_, args) => {
    const all = [MAIN, 'visualize', ...args, '-i', file('photo.jpg'), '-o', file('model.png')];
    rmSync(file('model.png'), { force: true });
    const { status, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    expect(existsSync(file('model.png'))).toBe(true);
  });

  it('standard output, from standard input', () => {
    const args = [MAIN, 'visualize', ...EIGHT, '-i', '-', '-o', '-', '--format', 'webp'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      input: readFileSync(file('x.npy')),
    });
    expect([status, String(stderr)]).toEqual([0, expect.stringMatching(/pixels: standard output/)]);
    expect(stdout.subarray(8, 12).toString()).toBe('WEBP');
  });

  it.each([
    ['weights', '-w', 'eight.npz', ['-i', file('x.npy')]],
    ['a picture', '-p', 'photo.jpg', [...EIGHT, '-i', file('x.npy')]],
  ])('%s from standard input', (_, option, name, others) => {
    const args = [MAIN, 'visualize', option, '-', ...others, '-o', file('piped.png')];
    rmSync(file('piped.png'), { force: true });
    const { status, stderr } = spawnSync(process.execPath, args, { input: readFileSync(file(name)) });
    expect([status, String(stderr), existsSync(file('piped.png'))]).toEqual([0, '', true]);
  });
});

const PHOTO = ['-i', file('photo.jpg'), '-o', file('no.png')];

describe('a module with a timer that goes on', () => {
  const run = (...args: string[]): { status: number | null; stdout: Buffer } =>
    spawnSync(process.execPath, [MAIN, 'visualize', '-m', file('timer.mjs'), ...args], { timeout: 40_000 });

  it('ends with the command, whose output is whole', async () => {
    // More than a pipe holds.
    const { status, stdout } = run('-i', file('photo.jpg'), '-o', '-', '--tile-size', '1500');
    expect(status).toBe(0);
    expect((await sharp(stdout).raw().toBuffer()).length).toBeGreaterThan(1500 * 1500);
  });

  it('ends after an error', () => {
    expect(run(...RGB, ...PHOTO).status).toBe(1);
  });
});
const FEATURES = ['-i', file('x.npy'), '-o', file('no.png')];

describe('refuses', () => {
  it.each<[string[], RegExp]>([
    [[], /required option '-i, --input <file\.\.\.>' not specified/],
    [[...PHOTO], /give --weights.*or --model/],
    [[...RGB, '-i', file('photo.jpg'), '-o', 'x.bmp'], /\.png, \.webp or \.gif/],
    [[...RGB, ...PHOTO, '--format', 'png'], /--format is for standard output/],
    [['-m', file('attention.cjs'), ...PHOTO, '--prefix', 'a.'], /--prefix is for --weights/],
    [[...RGB, '-i', '-', '-', '-o', 'x.png'], /can be given once, not for --input - and --input -/],
    [['-w', '-', '-i', '-', '-o', 'x.png'], /can be given once, not for --weights - and --input -/],
    [[...FEATURES, '-w', '-', '-p', '-'], /can be given once, not for --weights - and --picture -/],
    [[...EIGHT, ...FEATURES, '-p', file('photo.jpg'), file('photo.jpg')], /Expected 1 of --picture/],
    [[...EIGHT, '-i', file('x.npy'), file('x.npy'), '-o', 'x.png'], /one \.npy file, or pictures/],
    [[...RGB, ...PHOTO, '--opacity', 'half'], /It is not a number/],
    [[...RGB, ...PHOTO, '--columns', '-1'], /It is not a whole number/],
    [[...RGB, ...PHOTO, '--resize', '3y4'], /WIDTHxHEIGHT/],
    [[...RGB, ...PHOTO, '--range', '1'], /token, shared, MIN,MAX/],
    [[...RGB, ...PHOTO, '--tokens', '0,a'], /It is not a whole number/],
    [[...RGB, ...PHOTO, '--colormap', 'jet'], /Allowed choices are viridis, magma, inferno, coolwarm/],
    [[...RGB, ...PHOTO, '--normalize', 'none'], /Allowed choices are imagenet/],
    [[...RGB, ...PHOTO, '--picture', file('photo.jpg')], /Expected no --picture for pictures/],
    [[...RGB, ...PHOTO, '--animate'], /--animate needs an output that ends in \.gif or \.webp/],
    [[...RGB, ...PHOTO, '--opacity', '2'], /from 0 to 1 for --opacity .*\[ERR_OUT_OF_RANGE\]/],
    [[...RGB, ...PHOTO, '--fps', '100'], /from 0\.1 to 50 for --fps/],
    [[...RGB, ...PHOTO, '--tile-size', '5'], /from 32 to 4096 for --tile-size/],
    [[...RGB, ...PHOTO, '--range', '2,1'], /the lower first, for --range/],
    [[...RGB, ...PHOTO, '--tokens', '0,99'], /Expected --tokens below 2/],
    [[...RGB, ...PHOTO, '--tokens', '9007199254740993'], /for --tokens but/],
    [[...RGB, ...PHOTO, '--pooling', 'mean'], /--pooling is not for a TokenLearner/],
    [[...RGB, ...PHOTO, '--columns', '9'], /at most 3 for --columns/],
    [[...RGB, ...PHOTO, '--resize', '0'], /for --resize/],
    [[...RGB, ...PHOTO, '--fps', '3'], /Expected no --fps without an animation/],
    [[...EIGHT, ...FEATURES, '--opacity', '1'], /no --opacity .* give --picture/],
    [
      [...EIGHT, ...FEATURES, '--resize', '8', '--normalize', 'imagenet'],
      /Expected no --resize, --normalize for a tensor/,
    ],
    [
      [...RGB, '-i', file('photo.jpg'), '-o', 'x.gif', '--theme', 'auto'],
      /--theme 'light' or 'dark' for a GIF/,
    ],
  ])('%j as wrong usage', async (args, message) => {
    expect(await call(...args)).toBe(2);
    expect(written.errors).toMatch(message);
    expect([written.out, existsSync(file('no.png'))]).toEqual(['', false]);
  });

  it.each<[string[], RegExp]>([
    [[...EIGHT, ...PHOTO], /give --model, a module .*features.*\[ERR_SHAPE_MISMATCH\]/],
    [[...RGB, ...FEATURES], /Expected 3 channels.*\[ERR_SHAPE_MISMATCH\]/],
    [['-w', file('linear.safetensors'), ...PHOTO], /\[ERR_STATE_DICT\]/],
    [['-w', file('two.safetensors'), ...PHOTO], /choose one with --prefix: "a\.", "b\."/],
    [['-w', file('two.safetensors'), '--prefix', 'c', ...PHOTO], /\[ERR_STATE_DICT\]/],
    [[...RGB, '-i', file('none.jpg'), '-o', file('no.png')], /none\.jpg.*\[ERR_FILE_IO\]/],
    [
      [...RGB, '-i', file('rgb.safetensors'), '-o', file('no.png')],
      /rgb\.safetensors: it is a safetensors file, which is no picture: .* \.npy file \[ERR_FILE_FORMAT\]/,
    ],
    [
      [...EIGHT, '-i', file('eight.npz'), '-o', file('no.png')],
      /eight\.npz: it is a NumPy archive \(\.npz\), which is no picture/,
    ],
    [
      [...RGB, '-i', file('backbone.mjs'), '-o', file('no.png')],
      /backbone\.mjs: not a picture that sharp can decode.*\[ERR_FILE_FORMAT\]/,
    ],
    [[...RGB, '-m', file('none.mjs'), ...PHOTO], /There is no file.*\[ERR_FILE_IO\]/],
    [[...RGB, '-i', file('photo.jpg'), '-o', path.join(folder, 'none', 'x.png')], /\[ERR_FILE_IO\]/],
  ])('%j with exit code 1', async (args, message) => {
    expect(await call(...args)).toBe(1);
    expect(written.errors).toMatch(message);
    expect([written.out, existsSync(file('no.png'))]).toEqual(['', false]);
  });

  it.each([
    ['a forward', 'export default { forward: () => new Promise(() => {}) };'],
    ['a factory', 'export default () => new Promise(() => {});'],
    ['a top-level await', 'await new Promise(() => {});'],
  ])('%s whose promise never settles', (_, code) => {
    writeFileSync(file('pending.mjs'), code);
    const args = [MAIN, 'visualize', '-m', file('pending.mjs'), ...PHOTO];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect([status, stdout, existsSync(file('no.png'))]).toEqual([1, '', false]);
    expect(stderr).toMatch(/^tokenlearner: the command could not finish: a promise .* never settles.*\n$/);
  });

  it.each([
    ['syntax.cjs', 'const x = 1;\nno code', /syntax\.cjs failed: Unexpected .* \(.*syntax\.cjs:2\)/],
    ['syntax.mjs', 'no code', /syntax\.mjs failed: Unexpected identifier/],
    ['export.mjs', "import { x } from 'node:fs';", /export\.mjs failed: The requested module .*:1\)/],
    ['null.mjs', 'throw null;', /null\.mjs failed: null/],
    ['factory.mjs', 'export default () => { throw new Error("no data"); };', /factory\.mjs failed: no data/],
  ])('a module file that fails: %s', (name, code, message) => {
    writeFileSync(file(name), code);
    const args = [MAIN, 'visualize', '-m', file(name), ...PHOTO];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(stderr).toMatch(/^tokenlearner: The module .* \[ERR_FILE_FORMAT\]\n$/);
  });

  it('a module file without a module', () => {
    const args = [MAIN, 'visualize', ...RGB, '-m', file('nothing.mjs'), ...PHOTO];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /as the default export of .*nothing\.mjs but received undefined \[ERR_INVALID_ARG_TYPE\]/,
    );
  });
});
