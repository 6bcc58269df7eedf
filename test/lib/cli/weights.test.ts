import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { main } from '../../../lib/cli/main';
import { loadFlaxMsgpack, loadWeights, saveNpz, saveSafetensors } from '../../../lib/files';
import type { StateDict } from '../../../lib/modules/state-dict';
import { readSafetensors } from '../../../lib/formats/safetensors';
import { Tensor } from '../../../lib/tensor/tensor';
import { KEY_FAMILIES } from '../../../lib/weights';
import { FIXTURES } from '../formats/support';
import { familyOf, shapesOf, SIZES } from '../weights/support';
import { captureStreams } from './support';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-weights-'));
const file = (name: string): string => path.join(folder, name);
const written = captureStreams();
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const run = (...words: string[]): Promise<number> => main(['node', 'tokenlearner', ...words]);

/** Tensors of a key family, each element another number. */
function tensorsOf(
  id: string,
  form: Parameters<typeof familyOf>[1],
  prefix = '',
  separator = '.',
  sizes = SIZES,
): StateDict {
  const shapes = Object.entries(shapesOf(familyOf(id, form), { prefix, separator, sizes }));
  return Object.fromEntries(
    shapes.map(([name, { shape }], i) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [
        name,
        Tensor.arange(100 * i, 100 * i + count)
          .to('float32')
          .reshape(shape),
      ];
    }),
  );
}

async function same(name: string, expected: StateDict): Promise<void> {
  const dict = await loadWeights(file(name));
  expect(Object.keys(dict).sort()).toEqual(Object.keys(expected).sort());
  for (const [key, tensor] of Object.entries(expected)) expect(dict[key]).toEqual(tensor);
}

test('inspect names its own --key', async () => {
  await saveSafetensors(file('flat.safetensors'), { a: Tensor.ones([1]) });
  expect(await run('inspect', file('flat.safetensors'), '--key', 'a')).toBe(2);
  expect(written.errors).toMatch(/--key/);
  expect(written.errors).not.toMatch(/options\.key/);
});

describe('convert', () => {
  it('of bfloat16 to .npz says which of its options helps', async () => {
    await saveSafetensors(file('bf16.safetensors'), { a: Tensor.ones([1], { dtype: 'bfloat16' }) });
    expect(await run('convert', file('bf16.safetensors'), file('bf16.npz'))).toBe(1);
    expect(written.errors).toMatch(/NumPy has no bfloat16; .* with --dtype float32 \[ERR_/);
    expect(await run('convert', file('bf16.safetensors'), file('bf16.npz'), '--dtype', 'float32')).toBe(0);
  });

  test.each(KEY_FAMILIES.map((family) => [family.id, family.form] as const))(
    "%s %s: to this package's names, and back",
    async (id, form) => {
      const separator = id === 'flax' || id === 'rt1' ? '/' : '.';
      const dict = tensorsOf(id, form, '', separator);
      await saveSafetensors(file('in.safetensors'), dict);
      const own = form.startsWith('fuser') ? 'fuser' : form.slice(0, 3);
      expect([
        await run('convert', file('in.safetensors'), file('own.npz'), '--to', own),
        written.errors,
      ]).toEqual([0, '']);
      if (id === 'tokenlearner') return same('own.npz', dict);
      expect([await run('convert', file('own.npz'), file('back.pt'), '--to', id), written.errors]).toEqual([
        0,
        '',
      ]);
      return same('back.pt', dict);
    },
  );

  test('kernels are transposed', async () => {
    const dict = tensorsOf('flax', 'v11', 'params/', '/');
    await saveNpz(file('in.npz'), dict);
    expect(await run('convert', file('in.npz'), file('out.safetensors'), '--to', 'v11')).toBe(0);
    const out = await loadWeights(file('out.safetensors'));
    expect(out['mlp.0.weight']).toEqual(dict['params/token_masking/Dense_0/kernel']?.T.contiguous());
    expect(written.out).toContain('6 tensors');
  });

  test('formats and dtype, names as they are', async () => {
    const source = path.join(FIXTURES, 'written.msgpack');
    expect(await run('convert', source, file('a.safetensors'), '--dtype', 'float16', '-q')).toBe(0);
    const dict = await loadWeights(file('a.safetensors'));
    const whole = await loadFlaxMsgpack(source);
    expect(Object.keys(dict).sort()).toEqual(Object.keys(whole).sort());
    expect(dict['params/LayerNorm_0/scale']?.dtype).toBe('float16');
    expect(dict['state/step']?.dtype).toBe('int64');
    expect(written.out).toBe('');
    expect(await run('convert', file('a.safetensors'), file('b.msgpack'))).toBe(0);
    expect(await run('convert', file('b.msgpack'), file('c.npz'), '--compressed')).toBe(0);
    await same('c.npz', dict);
  });

  test('several modules: --prefix chooses', async () => {
    await saveSafetensors(file('two.safetensors'), {
      ...tensorsOf('flax', 'v11', 'a/', '/'),
      ...tensorsOf('flax', 'v11', 'b/', '/'),
    });
    expect(await run('convert', file('two.safetensors'), file('x.npz'), '--to', 'v11')).toBe(1);
    expect(written.errors).toContain('choose one with --prefix: "a/", "b/"');
    expect(await run('convert', file('two.safetensors'), file('x.npz'), '--to', 'v11', '--prefix', 'b')).toBe(
      0,
    );
  });

  test('--prefix opens neither shards nor arrays of other modules', async () => {
    const own = tensorsOf('tokenlearner', 'v11', 'tok.');
    await saveSafetensors(file('tok.safetensors'), own);
    const shards = { ...Object.fromEntries(Object.keys(own).map((name) => [name, 'tok.safetensors'])) };
    writeFileSync(
      file('index.json'),
      JSON.stringify({ weight_map: { ...shards, 'backbone.w': 'missing.safetensors' } }),
    );
    const convert = (...options: string[]): Promise<number> =>
      run('convert', file('index.json'), file('x.npz'), '--to', 'v11', ...options);
    expect(await convert('--prefix', 'tok')).toBe(0);
    expect(await convert()).toBe(1);
    expect(written.errors).toContain('missing.safetensors: cannot be read');
  });

  test('--to reads the tensors of the module alone', async () => {
    const v11 = tensorsOf('tokenlearner', 'v11', 'tok.');
    await saveSafetensors(file('plain.safetensors'), { ...v11, freqs: Tensor.ones([2, 2]) });
    const bytes = readFileSync(file('plain.safetensors'), 'latin1');
    // The same bytes as two complex numbers.
    const complex = bytes.replace(
      /"freqs":\{"dtype":"F32","shape":\[2,2\]/,
      '"freqs":{"dtype":"C64","shape":[2]  ',
    );
    writeFileSync(file('complex.safetensors'), complex, 'latin1');
    for (const options of [[], ['--prefix', 'tok.']]) {
      const status = await run(
        'convert',
        file('complex.safetensors'),
        file('x.npz'),
        '--to',
        'v11',
        ...options,
      );
      expect([status, written.errors]).toEqual([0, '']);
    }
    expect(await run('convert', file('complex.safetensors'), file('x.npz'))).toBe(1);
    expect(written.errors).toContain('leave it out with --to, or');
  });

  test('several modules, to names of another code: --prefix chooses', async () => {
    const [v11, v10] = [tensorsOf('flax', 'v11', 'a/', '/'), tensorsOf('flax', 'v10', 'b/', '/')];
    await saveSafetensors(file('both.safetensors'), { ...v11, ...v10 });
    expect(await run('convert', file('both.safetensors'), file('x.npz'), '--to', 'flax')).toBe(2);
    expect(written.errors).toContain(
      'weights of TokenLearnerV10 and TokenLearnerV11: choose one with --prefix',
    );
    for (const [prefix, dict] of [
      ['a', v11],
      ['b/', v10],
    ] as const) {
      const options = ['--to', 'flax', '--prefix', prefix];
      expect(await run('convert', file('both.safetensors'), file('x.npz'), ...options)).toBe(0);
      await same(
        'x.npz',
        Object.fromEntries(Object.entries(dict).map(([name, tensor]) => [name.slice(2), tensor])),
      );
    }
  });

  test('keeps the metadata of safetensors, and says where the format has none', async () => {
    const metadata = { format: 'pt', licence: 'MIT' };
    await saveSafetensors(file('meta.safetensors'), tensorsOf('flax', 'v10'), { metadata });
    for (const options of [[], ['--to', 'v10', '--dtype', 'float16']]) {
      expect(await run('convert', file('meta.safetensors'), file('kept.safetensors'), ...options)).toBe(0);
      expect((await readSafetensors(file('kept.safetensors'))).metadata).toEqual(metadata);
    }
    expect(written.out).not.toMatch(/metadata/);
    const index = { weight_map: { a: 'part.safetensors' } };
    await saveSafetensors(file('part.safetensors'), { a: Tensor.ones([1]) }, { metadata });
    writeFileSync(file('model.safetensors.index.json'), JSON.stringify(index));
    expect(await run('convert', file('model.safetensors.index.json'), file('kept.safetensors'))).toBe(0);
    expect((await readSafetensors(file('kept.safetensors'))).metadata).toEqual(metadata);
    written.out = '';
    expect(await run('convert', file('meta.safetensors'), file('x.npz'))).toBe(0);
    expect(written.out).toMatch(/x\.npz, without the input's metadata, which the format does not hold\n$/);
  });

  test('blocks of a backbone that have the names of a v1.1 are not in the way', async () => {
    const v10 = tensorsOf('tokenlearner', 'v10', 'tokens.');
    const blocks = ['a.', 'b.'].map((each) => tensorsOf('svfap', 'v11', each, '.', { C: 8, D: 32, G: 8 }));
    await saveSafetensors(file('whole.safetensors'), Object.assign({}, ...blocks, v10) as StateDict);
    expect([
      await run('convert', file('whole.safetensors'), file('x.npz'), '--to', 'flax'),
      written.errors,
    ]).toEqual([0, '']);
    expect(Object.keys(await loadWeights(file('x.npz')))).toContain('Conv_0/kernel');
  });

  test.each([
    ['v10', 'v10'],
    ['v10', 'flax'],
    ['fuser', 'fuser'],
  ] as const)('--variant for weights of %s to %s is wrong usage', async (form, to) => {
    await saveSafetensors(file('in.safetensors'), tensorsOf('flax', form));
    const options = ['--to', to, '--variant', 'd'];
    expect(await run('convert', file('in.safetensors'), file('no.pt'), ...options)).toBe(2);
    expect(written.errors).toMatch(/--variant is for a TokenLearnerV11/);
    expect(existsSync(file('no.pt'))).toBe(false);
  });

  test.each([
    [['in.safetensors', 'out.txt'], /the name of the output decides its format/],
    [['in.safetensors', 'out.pt', '--compressed'], /--compressed is for \.npz/],
    [['in.safetensors', 'out.pt', '--prefix', 'a'], /give --to too/],
    [['in.safetensors', 'out.pt', '--to', 'none'], /Allowed choices/],
    [['in.safetensors', 'out.pt', '--dtype', 'int32'], /Allowed choices/],
  ])('%j is wrong usage', async ([input = '', target = '', ...options], message) => {
    await saveSafetensors(file('in.safetensors'), tensorsOf('flax', 'v11'));
    expect(await run('convert', file(input), file(target), ...options)).toBe(2);
    expect(written.errors).toMatch(message);
  });

  test('names that a source does not have for a module', async () => {
    await saveSafetensors(file('in.safetensors'), tensorsOf('flax', 'v10'));
    expect(await run('convert', file('in.safetensors'), file('out.pt'), '--to', 'rt1')).toBe(2);
    expect(written.errors).toMatch(/rt1 has names for v11, not for v10/);
  });
});

describe('inspect', () => {
  test('keys, shapes, dtypes, bytes, and the module', async () => {
    await saveSafetensors(file('port.safetensors'), tensorsOf('maruya24', 'v11', 'x.'));
    expect([await run('inspect', file('port.safetensors')), written.errors]).toEqual([0, '']);
    expect(written.out).toContain('safetensors: 6 tensors');
    expect(written.out).toMatch(/x\.conv1\.weight +\(5, 16, 1, 1\) +float32 +320/);
    expect(written.out).toContain(
      "TokenLearnerV11 (likely): { dim: 16, numOutputTokens: 3, bottleneckDim: 5, variant: 'd' }",
    );
    expect(written.out).toContain('under the prefix "x."');
    expect(written.out).toContain('{ eps: 0.00001 }');
  });

  test.each(['all.npz', 'all-deflated.npz', 'all.msgpack', 'chunked.msgpack', 'all.safetensors', 'all.pt'])(
    '%s: what is loaded is listed, in JSON',
    async (name) => {
      expect([await run('inspect', path.join(FIXTURES, name), '--json'), written.errors]).toEqual([0, '']);
      const { tensors } = JSON.parse(written.out) as { tensors: { name: string; shape: number[] }[] };
      const dict = await loadWeights(path.join(FIXTURES, name));
      const listed = tensors.map((each) => [each.name, each.shape] as const);
      expect(new Map(listed)).toEqual(
        new Map(Object.entries(dict).map(([key, { shape }]) => [key, [...shape]])),
      );
    },
  );

  test('a file that fits nothing, an array, and a file that is none', async () => {
    expect(await run('inspect', path.join(FIXTURES, 'float32.npy'))).toBe(0);
    expect(written.out).toMatch(/\(no name\) +\(2, 3\) +float32 +24[^]*No module of the family fits/);
    expect(await run('inspect', path.join(FIXTURES, 'expected.json'))).toBe(1);
    expect(written.errors).toContain('[ERR_FILE_FORMAT]');
  });

  test('what nearly fits', async () => {
    const dict = tensorsOf('flax', 'v11');
    delete dict['LayerNorm_0.bias'];
    await saveSafetensors(file('near.safetensors'), dict);
    expect(await run('inspect', file('near.safetensors'))).toBe(0);
    expect(written.out).toMatch(/nearly a TokenLearnerV11 .*: it has no LayerNorm_0\.bias/);
  });

  test('names that a terminal would obey are escaped', async () => {
    const unsafe = '\x1b[2J\u202e\u009b2J\u{e0001}';
    await saveSafetensors(file('terminal.safetensors'), tensorsOf('maruya24', 'v11', `${unsafe}.`));
    const near = Object.entries(tensorsOf('flax', 'v11', `${unsafe}.`));
    await saveSafetensors(
      file('near-terminal.safetensors'),
      Object.fromEntries(near.filter(([name]) => !name.endsWith('LayerNorm_0.bias'))),
    );
    for (const name of ['terminal.safetensors', 'near-terminal.safetensors']) {
      expect(await run('inspect', file(name))).toBe(0);
      expect(written.out).not.toMatch(/(?!\n)\p{C}/u);
    }
    written.out = '';
    expect(await run('inspect', file('terminal.safetensors'), '--json')).toBe(0);
    expect(written.out).not.toMatch(/(?!\n)\p{C}/u);
    const { modules } = JSON.parse(written.out) as { modules: { prefix: string }[] };
    expect(modules.map(({ prefix }) => prefix)).toEqual([`${unsafe}.`]);
    expect(await run('convert', file('near-terminal.safetensors'), file('x.npz'), '--to', 'v11')).toBe(1);
    expect(written.errors).toMatch(/under ".*\\u\{9b\}2J.*ERR_STATE_DICT/);
    expect(written.errors).not.toMatch(/(?!\n)\p{C}/u);
  });
});
