/** `tokenlearner run --output-dir`: what it writes, keeps, refuses and says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { main } from '../../../../lib/cli/main';
import { loadNpy, loadNpz, loadSafetensors, saveNpy, saveNpz, saveSafetensors } from '../../../../lib/files';
import { TokenLearner } from '../../../../lib/modules/token-learner';
import { TokenLearnerV11 } from '../../../../lib/modules/token-learner-v11';
import { type AnyTensor, Tensor } from '../../../../lib/tensor/tensor';
import { temporaryFolder } from '../../libtorch/support';
import { at } from '../../support';
import { captureStreams } from '../support';

const MAIN = path.resolve(__dirname, '..', '..', '..', '..', 'dist', 'cli', 'main.js');
const folder = temporaryFolder();
const file = (...names: string[]): string => path.join(folder, ...names);
const model = new TokenLearner({ dim: 4, numOutputTokens: 3, device: 'cpu' });
const WEIGHTS = file('w.safetensors');
const written = captureStreams();

const images = Array.from({ length: 7 }, (_, i) => Tensor.randn([1 + (i % 2), 4, 2 + i, 3]));
const image = (i: number): Tensor => at(images, i);
beforeAll(async () => {
  await saveSafetensors(WEIGHTS, model.stateDict());
  mkdirSync(file('in', 'sub'), { recursive: true });
  for (const [i, x] of images.entries()) await saveNpy(file('in', `x${i}.npy`), x);
  await saveNpz(file('in', 'sub', 'pair.npz'), { a: image(0), b: image(1) });
  await saveSafetensors(file('in', 'sub', 'more.safetensors'), { c: image(2) });
  writeFileSync(file('in', 'notes.txt'), 'not an array');
  writeFileSync(file('in', '.hidden.npy'), 'hidden');
});

const onLinux = process.platform === 'linux' ? it : it.skip;
let outputs = 0;
/** A new output folder, and a run into it. */
function prepare(): { out: string; run: (...options: string[]) => Promise<number> } {
  const out = file(`out${++outputs}`);
  return { out, run: (...options) => call('--output-dir', out, ...options) };
}

const call = (...options: string[]): Promise<number> =>
  main(['node', 'tokenlearner', 'run', '-w', WEIGHTS, '--device', 'cpu', ...options]);

const tokensOf = (x: Tensor): ArrayLike<number> => model.forwardSync(x).data;
const expectSame = (tensor: AnyTensor | undefined, x: Tensor): void => {
  expect(tensor?.data).toEqual(tokensOf(x));
};

it('runs a folder: each output has the path and the format of its input, and the bits of a run alone', async () => {
  const { out, run } = prepare();
  expect([await run('-i', file('in')), written.errors.split('\n').at(-2)]).toEqual([
    0,
    expect.stringMatching(/^100 % {2}9 of 9 files, /),
  ]);
  expect(written.out).toMatch(/out\d+: 9 of 9 files written in \d+ s\n$/);
  expect(readdirSync(out).sort()).toEqual(['sub', ...images.map((_, i) => `x${i}.npy`)]);
  for (const [i, x] of images.entries()) expectSame(await loadNpy(path.join(out, `x${i}.npy`)), x);
  const pair = await loadNpz(path.join(out, 'sub', 'pair.npz'));
  expect(Object.keys(pair)).toEqual(['a', 'b']);
  expectSame(pair.a, image(0));
  expectSame(pair.b, image(1));
  expectSame((await loadSafetensors(path.join(out, 'sub', 'more.safetensors'))).c, image(2));
});

it('takes patterns that the shell did not expand, several inputs, and a file once', async () => {
  const { out, run } = prepare();
  expect(
    await run('-q', '-i', file('in', 'x[0-2].npy'), file('in', 'x2.npy'), '-i', file('in', '**', '*.npz')),
  ).toBe(0);
  expect([written.out, written.errors]).toEqual(['', '']);
  expect(readdirSync(out).sort()).toEqual(['sub', 'x0.npy', 'x1.npy', 'x2.npy']);
});

it('writes attention maps, another format and layout', async () => {
  const { out, run } = prepare();
  const maps = `${out}-maps`;
  const options = ['--attention-dir', maps, '--format', 'safetensors', '--layout', 'tokens-first'];
  expect(await run('-q', '-i', file('in', 'x3.npy'), file('in', 'sub', 'pair.npz'), ...options)).toBe(0);
  const x = image(3);
  const expected = model.forwardSync(x, { layout: 'tokens-first', returnAttention: true });
  expect((await loadSafetensors(path.join(out, 'x3.safetensors'))).array?.data).toEqual(expected.tokens.data);
  expect((await loadSafetensors(path.join(maps, 'x3.safetensors'))).array?.data).toEqual(
    expected.attention.data,
  );
  expect(Object.keys(await loadSafetensors(path.join(maps, 'pair.safetensors')))).toEqual(['a', 'b']);
  written.errors = '';
  expect(
    await run('-q', '-i', file('in', 'x3.npy'), file('in', 'sub', 'pair.npz'), ...options, '--resume'),
  ).toBe(0);
});

it('runs a TokenLearnerV11 on channels-last files, and knows its outputs again', async () => {
  const { out, run } = prepare();
  const v11 = new TokenLearnerV11({ dim: 4, numOutputTokens: 2, bottleneckDim: 8, device: 'cpu' });
  await saveSafetensors(file('v11.safetensors'), v11.stateDict());
  // Flat pixels, flat pixels of 2 images, and 2 images of 3 x 5 pixels.
  const inputs = [
    [6, 4],
    [2, 6, 4],
    [2, 3, 5, 4],
  ].map((shape) => Tensor.randn(shape));
  mkdirSync(file('last'));
  for (const [i, x] of inputs.entries()) await saveNpy(file('last', `x${i}.npy`), x);
  const all = [file('last'), '--input-layout', 'channels-last', '--attention-dir', `${out}-maps`, '--resume'];
  const runAll = (): Promise<number> =>
    main(['node', 'tokenlearner', 'run', '-w', file('v11.safetensors'), '--output-dir', out, '-i', ...all]);
  expect(await runAll()).toBe(0);
  expect(written.out).toMatch(/3 of 3 files written in/);
  for (const [i, x] of inputs.entries()) {
    const expected = v11.forwardSync(x, { inputLayout: 'channels-last', returnAttention: true });
    expect((await loadNpy(path.join(out, `x${i}.npy`))).equals(expected.tokens)).toBe(true);
    expect((await loadNpy(path.join(`${out}-maps`, `x${i}.npy`))).equals(expected.attention)).toBe(true);
  }
  expect(await runAll()).toBe(0);
  expect(written.out).toMatch(/0 of 3 files written, 3 kept in/);
  // --pixels flat reads the 4-D one as 2 x 3 images of 5 pixels.
  written.out = '';
  const flat = [...all, '--pixels', 'flat', '--output-dir', `${out}-flat`];
  expect(await main(['node', 'tokenlearner', 'run', '-w', file('v11.safetensors'), '-i', ...flat])).toBe(0);
  const tokens = v11.forwardSync(at(inputs, 2), { inputLayout: 'channels-last', pixels: 'flat' });
  expect((await loadNpy(path.join(`${out}-flat`, 'x2.npy'))).equals(tokens)).toBe(true);
  expect(await main(['node', 'tokenlearner', 'run', '-w', file('v11.safetensors'), '-i', ...flat])).toBe(0);
  expect(written.out).toMatch(/0 of 3 files written, 3 kept in/);
  expect(await run('-q', '-i', file('last', 'x2.npy'))).toBe(1);
});

it('a file that fails fails alone, and is listed at the end', async () => {
  const { out, run } = prepare();
  mkdirSync(file('bad'));
  await saveNpy(file('bad', 'good.npy'), image(0));
  await saveNpy(file('bad', 'channels\u009b.npy'), Tensor.ones([1, 5, 2, 2]));
  writeFileSync(file('bad', 'broken.npy'), readFileSync(file('in', 'x6.npy')).subarray(0, 200));
  await saveNpz(file('bad', 'several.npz'), { a: image(0), b: image(1) });
  expect(await run('-q', '-i', file('bad'), '--format', 'npy')).toBe(1);
  expect(written.errors).toMatch(/^3 of 4 files failed:\n/);
  expect(written.errors).toMatch(
    / {2}".*channels\\u\{9b\}\.npy": Expected 4 channels.*\[ERR_SHAPE_MISMATCH\]\n/,
  );
  expect(written.errors).toMatch(/ {2}.*broken\.npy: .*\[ERR_FILE_FORMAT\]\n/);
  expect(written.errors).toMatch(
    / {2}.*several\.npz: .*choose --format npz or safetensors \[ERR_INVALID_ARG_VALUE\]\n/,
  );
  expect(readdirSync(out)).toEqual(['good.npy']);
});

it('a folder that cannot be made fails before anything runs', async () => {
  const { out } = prepare();
  writeFileSync(file('taken'), '');
  for (const [given, bad] of [
    [['--output-dir', file('taken', 'o')], 'o'],
    [['--output-dir', out, '--attention-dir', file('taken')], 'taken'],
  ] as const) {
    written.errors = '';
    expect(await main(['node', 'tokenlearner', 'run', '-w', 'none', '-i', file('in'), ...given])).toBe(1);
    expect(written.errors).toMatch(new RegExp(`${bad}: cannot be written: .*E.* \\[ERR_FILE_IO\\]`));
  }
});

it('a file whose name has a line break takes one line of the failures', async () => {
  const { run } = prepare();
  await saveNpy(file('a\nb.npy'), Tensor.ones([1, 5, 2, 2]));
  expect(await run('-q', '-i', file('a\nb.npy'))).toBe(1);
  expect(written.errors).toMatch(/^1 of 1 files failed:\n {2}".*a\\nb\.npy": Expected 4 channels.*\n$/);
});

it('an array without a name, beside one of the name that its result would have, fails', async () => {
  const { out, run } = prepare();
  await saveNpz(file('unnamed.npz'), { '': image(0), other: image(1) });
  await saveNpz(file('clash.npz'), { '': image(0), array: image(1) });
  expect(await run('-q', '-i', file('unnamed.npz'), file('clash.npz'))).toBe(1);
  expect(written.errors).toMatch(
    /^1 of 2 files failed:\n.*clash\.npz: .*called 'array'.*\[ERR_INVALID_ARG_VALUE\]/,
  );
  expect(Object.keys(await loadNpz(path.join(out, 'unnamed.npz')))).toEqual(['array', 'other']);
  expect(readdirSync(out)).toEqual(['unnamed.npz']);
});

it('--resume keeps whole outputs, and makes the others', async () => {
  const { out, run } = prepare();
  const inputs = ['-i', file('in', 'x*.npy')];
  expect(await run('-q', ...inputs)).toBe(0);
  const before = statSync(path.join(out, 'x0.npy')).ino;
  truncateSync(path.join(out, 'x1.npy'), 150);
  await saveNpy(path.join(out, 'x2.npy'), Tensor.ones([1, 4, 2]));
  expect(await run('--resume', ...inputs)).toBe(0);
  expect(written.out).toMatch(/2 of 7 files written, 5 kept in/);
  expect(statSync(path.join(out, 'x0.npy')).ino).toBe(before);
  for (const [i, x] of images.entries()) expectSame(await loadNpy(path.join(out, `x${i}.npy`)), x);
});

it('reads within a bound of bytes', async () => {
  const { out, run } = prepare();
  expect(await run('-q', '-i', file('in'), '--max-read-bytes', '1', '--max-batch-size', '2')).toBe(0);
  expectSame(await loadNpy(path.join(out, 'x6.npy')), image(6));
});

it.each<[string, () => string[], RegExp]>([
  [
    'two inputs of one output',
    () => ['-i', file('in', 'x0.npy'), file('twin', 'x0.npy')],
    /would replace the one of/,
  ],
  [
    'two inputs whose names differ in their endings',
    () => ['-i', file('twin', 'x0.npy'), file('twin', 'x0.npz'), '--format', 'safetensors'],
    /would replace .*: leave out --format, or run them by pattern with different output folders$/m,
  ],
  [
    'an output that is an input',
    () => ['-i', file('in', 'x0.npy'), '--output-dir', file('in')],
    /would replace .*x0\.npy, an input/,
  ],
  [
    'a folder as its own output',
    () => ['-i', file('in', 'sub'), '--output-dir', file('in', 'sub')],
    /would replace .*more\.safetensors, an input/,
  ],
  [
    'maps over tokens',
    () => ['-i', file('in', 'x0.npy'), '--output-dir', file('o'), '--attention-dir', file('o')],
    /would replace the one of/,
  ],
  ['standard input', () => ['-i', '-'], /--input - goes with --output/],
  ['another ending', () => ['-i', file('in', 'notes.txt')], /notes\.txt: expected a name that ends in/],
  ['--output too', () => ['-i', file('in'), '-o', 'y.npy'], /do not go with --output-dir/],
  [
    'an unknown format',
    () => ['-i', file('in'), '--format', 'csv'],
    /Allowed choices are npy, npz, safetensors/,
  ],
  ['no pattern', () => ['-i', file('in', '[z-a].npy')], /\[z-a\]\.npy is no pattern/],
  ['no bytes', () => ['-i', file('in'), '--max-read-bytes', '0'], /not a whole number of at least 1/],
])('refuses %s before anything runs', async (_, options, message) => {
  mkdirSync(file('twin'), { recursive: true });
  await saveNpy(file('twin', 'x0.npy'), image(0));
  await saveNpz(file('twin', 'x0.npz'), { a: image(0) });
  const { out, run } = prepare();
  const given = options();
  expect(await (given.includes('--output-dir') ? call(...given) : run(...given))).toBe(2);
  expect(written.errors).toMatch(message);
  expect([existsSync(out), existsSync(file('o'))]).toEqual([false, false]);
});

it('an option that the model does not take is wrong usage, and no failure of each file', async () => {
  const { out, run } = prepare();
  expect(await run('-i', file('in'), '--pixels', 'flat')).toBe(2);
  expect(written.errors).toMatch(/--pixels is not for a TokenLearner \[ERR_INVALID_ARG_VALUE\]$/m);
  expect([written.errors.includes('failed'), readdirSync(out)]).toEqual([false, []]);
});

it.each<[string[], RegExp]>([
  [['-i', 'none.npy', '--output-dir', 'o'], /none\.npy: there is no such file or folder \[ERR_FILE_IO\]/],
  [['-i', 'none/*.npy', '--output-dir', 'o'], /there is no folder none/],
  [['-i', file('in', 'y*.npy'), '--output-dir', 'o'], /it gives no \.npy, \.npz or \.safetensors file/],
])('%j fails', async (options, message) => {
  expect(await call(...options)).toBe(1);
  expect(written.errors).toMatch(message);
});

it.each<[string[], RegExp]>([
  [['-i', 'a.npy'], /expected --output for one file, or --output-dir for many/],
  [['-i', 'a.npy', 'b.npy', '-o', 'y.npy'], /--output is for one input, not 2: a\.npy, b\.npy/],
  [['-i', 'a.npy', '-o', 'y.npy', '--resume'], /--resume goes with --output-dir/],
  [['-i', 'a.npy', '-o', 'y.npy', '--max-read-bytes', '5'], /--max-read-bytes goes with --output-dir/],
])('%j is wrong usage', async (options, message) => {
  expect(await call(...options)).toBe(2);
  expect(written.errors).toMatch(message);
});

it('says how many files of an output folder below the input are left out', async () => {
  for (const year of ['2024', '2025']) {
    mkdirSync(file('years', year), { recursive: true });
    await saveNpy(file('years', year, 'a.npy'), image(0));
  }
  const options = ['-i', file('years', '**', '*.npy'), '--output-dir', file('years', '2024')];
  expect(await call(...options)).toBe(0);
  expect(written.errors).toMatch(/^Left out, since they are in folders of outputs: 1 that --input gives$/m);
  expectSame(await loadNpy(file('years', '2024', '2025', 'a.npy')), image(0));
  expect([await call('-q', ...options), written.errors.match(/Left out/g)?.length]).toEqual([0, 1]);
});

onLinux('a file whose name is no text fails alone', async () => {
  const { out, run } = prepare();
  mkdirSync(file('names'));
  await saveNpy(file('names', 'a.npy'), image(0));
  writeFileSync(Buffer.concat([Buffer.from(file('names', 'b')), Buffer.of(0xff), Buffer.from('.npy')]), '');
  expect(await run('-i', file('names'))).toBe(1);
  expect(written.errors).toMatch(
    /1 of 2 files failed:\n.*b\uFFFD\.npy: cannot be read: .*\[ERR_FILE_IO\]\n$/,
  );
  expect(readdirSync(out)).toEqual(['a.npy']);
});

it('after SIGINT it finishes the files under way, says what is left, and --resume goes on', async () => {
  const out = file('interrupted');
  mkdirSync(file('many'));
  const FILES = 400;
  for (let i = 0; i < FILES; i++) await saveNpy(file('many', `${i}.npy`), image(i % 7));
  const args = ['run', '-w', WEIGHTS, '-i', file('many'), '--output-dir', out, '--max-batch-size', '1'];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (errors === '') child.kill('SIGINT');
    errors += String(chunk);
  });
  const [code] = (await once(child, 'close')) as [number];
  const done = readdirSync(out);
  expect(errors).toContain('Stopping after the files under way');
  expect([code, errors]).toEqual([
    130,
    expect.stringContaining(`${FILES - done.length} of ${FILES} files are left: --resume goes on`),
  ]);
  expect(done.length).toBeGreaterThan(0);
  expect(done.every((name) => /^\d+\.npy$/.test(name))).toBe(true);
  for (const name of done)
    expectSame(await loadNpy(path.join(out, name)), image(Number.parseInt(name, 10) % 7));
  expect(await call('-q', '-i', file('many'), '--output-dir', out, '--resume')).toBe(0);
  expect(readdirSync(out)).toHaveLength(FILES);
}, 120_000);

it('a signal before the last file is done gives its exit code too', async () => {
  const { out, run } = prepare();
  // The progress is shown before the run has ended.
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    if (written.errors === '') process.emit('SIGTERM');
    written.errors += String(text);
    return true;
  });
  expect(await run('-i', file('in', 'x0.npy'))).toBe(143);
  expect(written.errors).toContain('Stopping after the files under way');
  expect(written.errors).not.toContain('are left');
  expect(written.out).toContain('1 of 1 files written');
  expect(readdirSync(out)).toEqual(['x0.npy']);
});
