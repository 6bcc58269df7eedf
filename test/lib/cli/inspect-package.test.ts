import { main } from '../../../lib/cli/main';
import { zip } from '../formats/zip';
import { METADATA, model, records, scratch, wrapperSource } from '../aoti/support';
import { captureStreams } from './support';

const { write } = scratch();
const written = captureStreams();
const run = (...args: string[]) => main(['node', 'tokenlearner', 'inspect', ...args]);

const CONSTANTS = `AOTInductorModelBase(1, 1, 1,
    constants_info_[0].dtype = cached_torch_dtype_float32;
    constants_info_[0].shape = {6, 4};
    constants_info_[0].original_fqn = "l.weight";`;
const OWN = {
  version: 1,
  torch: '2.13.0',
  inputs: [
    { name: 'x', dtype: 'float32', shape: [{ name: 'batch', min: 1, max: 64 }, 4] },
    { name: 'z', dtype: 'float32', shape: [{ name: 'rows\u001b[2J', min: 1, max: 8 }] },
  ],
  outputs: [{ name: 'y\u001b[2J', dtype: 'float32', shape: [{ name: 'batch', min: 1, max: 64 }] }],
};
const file = write(
  zip(
    records({
      encoder: model(
        { 'x.wrapper.cpp': wrapperSource([{ shape: ['s0', 4] }, { shape: ['s1'] }]) + CONSTANTS },
        { ...METADATA, tokenlearner: JSON.stringify(OWN) },
      ),
      'decoder\u009b2J': model(
        { 'x.wrapper.cpp': '// another form' },
        { ...METADATA, AOTI_DEVICE_KEY: 'cuda', AOTI_COMPUTE_CAPABILITY: '90' },
      ),
    }),
  ),
);

test('describes every model of a package', async () => {
  expect([await run(file), written.errors]).toEqual([0, '']);
  expect(written.out).toMatch(/^a package of AOTInductor \(\.pt2\): 2 models\n/);
  const [, encoder = '', decoder = ''] = written.out.split('\n\n');
  expect(encoder).toMatch(
    /^model "encoder"\ndevice +cpu\nplatform +linux x86_64\ninstruction sets +AVX2\nexported by torch +2\.13\.0\n/,
  );
  expect(encoder).toContain('input   x             float32  (batch, 4)');
  expect(encoder).toContain('  batch: 1 to 64');
  expect(encoder).toContain('1 constant\n  l.weight  (6, 4)  float32');
  expect(decoder).toMatch(/^model "decoder\\u\{9b\}2J"\ndevice +cuda\n[^]*compute capability +90\n/);
  expect(decoder).toContain('inputs: unknown. AotiModel.load needs `inputs`');
  expect(decoder).toContain('constants: unknown without running its code');
});

test('prints no character that a terminal would obey', async () => {
  await run(file);
  expect(written.out).toContain(String.raw`"y\u001b[2J"`);
  expect(written.out).toContain(String.raw`("rows\u001b[2J",)`);
  expect(written.out).not.toMatch(/(?!\n)\p{C}/u);
});

test('prints JSON', async () => {
  expect(await run(file, '--json')).toBe(0);
  const { models } = JSON.parse(written.out) as {
    models: { name: string; signature?: { source: string } }[];
  };
  expect(models.map(({ name, signature }) => [name, signature?.source])).toEqual([
    ['encoder', 'metadata'],
    ['decoder\u009b2J', undefined],
  ]);
  expect(written.out).not.toMatch(/(?!\n)\p{C}/u);
});

test('refuses --key, and a package that is malformed', async () => {
  expect(await run(file, '--key', 'x')).toBe(2);
  expect(written.errors).toContain('--key is for checkpoints');
  const bad = write(zip(records({ model: { 'x.json': '{}' } })));
  expect(await run(bad)).toBe(1);
  expect(written.errors).toContain('[ERR_AOTI_PACKAGE]');
});
