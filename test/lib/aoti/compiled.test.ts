/** Packages that torch wrote: what is read from them, without running them. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describeAotiPackage, openAotiPackage } from '../../../lib/aoti/package';
import { TokenLearnerError } from '../../../lib/errors';
import { loadNpz } from '../../../lib';
import { describeWithPrograms, makePrograms, torchVersion, type ProgramName, whyNot } from './programs';
import { scratch } from './support';

const SHAPES: Partial<Record<ProgramName, [dtype: string, ...sizes: (number | 'batch')[]][]>> = {
  conv: [['float32', 'batch', 3, 16, 16]],
  vit: [['float32', 'batch', 3, 32, 32]],
  record: [
    ['float32', 'batch', 4],
    ['float32', 'batch', 6],
  ],
  words: [
    ['int64', 'batch', 5],
    ['bool', 'batch', 5],
  ],
  throws: [['float32', 'batch', 4], ['int64']],
  half: [['bfloat16', 'batch', 16]],
  same: [['float32', 'batch', 16]],
};
const NAMES = Object.keys(SHAPES) as ProgramName[];

describeWithPrograms('Packages of torch', [...NAMES, 'weights', 'blob', 'pickled', 'several'], (programs) => {
  const { folder, write } = scratch();
  const before = process.env.TOKENLEARNER_CACHE;
  beforeAll(() => {
    process.env.TOKENLEARNER_CACHE = path.join(folder, 'cache');
  });
  afterAll(() => {
    if (before === undefined) delete process.env.TOKENLEARNER_CACHE;
    else process.env.TOKENLEARNER_CACHE = before;
  });

  it.each(NAMES)('%s: the signature of its source', async (name) => {
    const { signature } = await openAotiPackage(programs()[name].file);
    const symbols = new Set<string | undefined>();
    const shapes = signature?.inputs.map(({ dtype, shape, order }) => {
      expect(order).toBeUndefined();
      return [
        dtype,
        ...shape.map((size) => {
          if (typeof size === 'number') return size;
          symbols.add(size.name);
          return 'batch';
        }),
      ];
    });
    expect(shapes).toEqual(SHAPES[name]);
    expect(symbols.size).toBe(1);
    expect([...symbols]).not.toContain(undefined);
  });

  it.each(NAMES)('%s: the constants that torch lists', async (name) => {
    const { constants } = await openAotiPackage(programs()[name].file);
    const listed = JSON.parse(readFileSync(programs()[name].file.replace('.pt2', '.json'), 'utf8')) as {
      constants: string[];
    };
    expect(constants?.map((each) => each.name).sort()).toEqual(listed.constants);
  });

  it('tells the symbols of libtorch that the library needs', async () => {
    const { requiredSymbols } = await openAotiPackage(programs().conv.file);
    expect(requiredSymbols).toEqual(
      expect.arrayContaining(['aoti_torch_get_data_ptr', 'aoti_torch_cpu_convolution']),
    );
    expect(requiredSymbols.filter((name) => !/^(?:aoti_)?torch_/.test(name))).toEqual([]);
  });

  it('finds weights outside of the library', async () => {
    const blob = await (await openAotiPackage(programs().blob.file)).extract();
    // float32, and each weight begins at a multiple of 64 bytes.
    expect(statSync(blob.weights ?? '').size).toBeGreaterThan(4 * (24 * 16 + 24 + 12 * 24 + 12 + 12));
    blob.close();
    const { separateWeights } = await openAotiPackage(programs().pickled.file);
    expect(separateWeights?.get('layers.0.weight')).toEqual({
      record: 'weight_0',
      shape: [24, 16],
      strides: [16, 1],
      offset: 0,
    });
  });

  it('reads weights from records of their own', async () => {
    const opened = await openAotiPackage(programs().pickled.file);
    const weights = await opened.loadWeights?.();
    const expected = await loadNpz(programs().pickled.values);
    expect([...(weights?.keys() ?? [])].sort()).toEqual(
      Object.keys(expected)
        .filter((key) => key.startsWith('old.'))
        .map((key) => key.slice(4))
        .sort(),
    );
    for (const [name, tensor] of weights ?? []) {
      const other = expected[`old.${name}`];
      expect(other !== undefined && tensor.equals(other)).toBe(true);
      tensor.dispose();
    }
    expect((await openAotiPackage(programs().weights.file)).loadWeights).toBeUndefined();
  });

  it('lists the models of an archive of several', async () => {
    const { file } = programs().several;
    expect((await describeAotiPackage(file)).map(({ name }) => name).sort()).toEqual(['conv', 'record']);
    const [one, two] = await Promise.all(['conv', 'record'].map((name) => openAotiPackage(file, { name })));
    expect(one?.signature?.inputs).toHaveLength(1);
    expect(two?.signature?.inputs).toHaveLength(2);
  });

  it('refuses a package that was cut off at 200 places', async () => {
    const whole = readFileSync(programs().record.file);
    for (let i = 0; i < 200; i += 1) {
      const file = write(whole.subarray(0, Math.floor((whole.length * i) / 200)), 'cut.pt2');
      const outcome = await openAotiPackage(file)
        .then((opened) => opened.extract())
        .catch((error: unknown) => error);
      expect(outcome).toBeInstanceOf(TokenLearnerError);
    }
  });

  it('finds a flipped byte anywhere in the library', async () => {
    const whole = readFileSync(programs().record.file);
    const start = whole.indexOf('\x7fELF', 0, 'latin1');
    for (let i = 0; i < 50; i += 1) {
      const bytes = Buffer.from(whole);
      const at = start + 64 + i * 29_000;
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      const outcome = await openAotiPackage(write(bytes, 'flipped.pt2'))
        .then((opened) => opened.extract())
        .catch((error: unknown) => error);
      expect(outcome).toBeInstanceOf(TokenLearnerError);
    }
  });
});

test('a program that was made is found again', async () => {
  if (whyNot !== null) return;
  const made = await makePrograms(['record']);
  expect(made.record.file).toContain(torchVersion);
});
