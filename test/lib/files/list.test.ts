import { crc32 } from 'node:zlib';
import { listWeights } from '../../../lib/files/list';
import { loadWeights } from '../../../lib/files/load';
import { TokenLearnerError } from '../../../lib/errors';
import { serializeNpy } from '../../../lib/formats/npy-write';
import { checkpoint, tensorFile } from '../formats/checkpoint-writer';
import { dict, tensor } from '../formats/pickle-writer';
import { tensorFile as safetensors } from '../formats/safetensors-file';
import { expectReject, sample } from '../formats/support';
import { npyOf, zip } from '../formats/zip';

const npy = serializeNpy(sample('float32', [2, 3]));
const HUGE = '(9007199254740991, 9007199254740991)';

/** An archive of one array with another shape in its header. */
function npz(shape: string, data = npy): Uint8Array {
  const text = Buffer.from(data).toString('latin1');
  const lying = text.replace(/\(2, 3\), }\s*/, (old) => `${shape}, }`.padEnd(old.length));
  return zip([{ name: 'x.npy', data: Buffer.from(lying, 'latin1') }]);
}

const huge = { shape: [2 ** 53 - 1, 2 ** 53 - 1], strides: [2 ** 53 - 1, 1] };

test.each<[string, Uint8Array]>([
  ['.npz: a shape beyond 2^53 bytes', npz(HUGE)],
  ['.npz: a shape that is not its elements', npz('(2, 4)')],
  ['.npz: an array that is cut', npz('(2, 3)', npy.subarray(0, -1))],
  ['a checkpoint: a shape beyond 2^53 bytes', tensorFile(huge)],
  ['a checkpoint: a tensor outside its storage', tensorFile({ shape: [3, 3] })],
  ['a checkpoint: a storage of another size', tensorFile({ numel: 7 })],
  ['a checkpoint: a storage that is not there', tensorFile({ key: '5' })],
  [
    'a checkpoint: a storage with two descriptions',
    checkpoint(dict({ a: tensor(), b: tensor({ type: 'IntStorage' }) })),
  ],
  ['safetensors: a shape that is not its elements', safetensors({ shape: '[3]' })],
  ['safetensors: a shape beyond 2^53 bytes', safetensors({ dtype: '"X9"', shape: `[${2 ** 53 - 1},9]` })],
])('%s: the error of loading it', async (_, bytes) => {
  const errorOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    );
  const [listing, loading] = [await errorOf(listWeights(bytes)), await errorOf(loadWeights(bytes))];
  expect(loading).toBeInstanceOf(TokenLearnerError);
  expect(loading).toMatchObject({ code: 'ERR_FILE_FORMAT' });
  expect(listing).toMatchObject({ code: 'ERR_FILE_FORMAT', message: (loading as Error).message });
});

test('an unknown dtype of safetensors has the bytes that the file gives it', async () => {
  const { tensors } = await listWeights(safetensors({ dtype: '"X9"', shape: '[7]' }));
  expect(tensors).toEqual([{ name: 'a', dtype: 'X9', shape: [7], bytes: 2 }]);
});

test('a dtype of a checkpoint that cannot be loaded is listed', async () => {
  const { tensors } = await listWeights(
    tensorFile({ type: 'ComplexFloatStorage', numel: 3, shape: [3], strides: [1] }),
  );
  expect(tensors).toEqual([{ name: 'w', dtype: 'complex64', shape: [3], bytes: null }]);
});

test('records of an .npz that share bytes are refused', async () => {
  const first = { name: 'x.npy', data: npy };
  const claims = Array.from({ length: 200 }, (_, i) => ({
    name: `${i}.npy`,
    data: new Uint8Array(0),
    declaredSize: npy.length,
    declaredCompressedSize: npy.length,
    declaredChecksum: crc32(npy),
    offset: 0,
  }));
  const bytes = zip([first, ...claims]);
  await expectReject(listWeights(bytes), 'ERR_FILE_FORMAT', 'overlap');
  await expectReject(loadWeights(bytes), 'ERR_FILE_FORMAT', 'overlap');
});

test.each([
  ['<U5', 'text', null],
  ['|i1', 'int8', 6],
  ['<c8', 'complex64', null],
  ['|O', 'object', null],
  ['|V2', 'raw bytes of length 2', null],
])(
  '.npz and .npy: an array of dtype %s, which tensors do not have, is listed',
  async (descr, dtype, bytes) => {
    const other = npyOf(descr, Buffer.alloc(6));
    const listed = { dtype, shape: [2, 3], bytes };
    const { tensors } = await listWeights(
      zip([
        { name: 'x.npy', data: npy },
        { name: 'y.npy', data: other },
      ]),
    );
    expect(tensors).toEqual([
      { name: 'x', dtype: 'float32', shape: [2, 3], bytes: 24 },
      { name: 'y', ...listed },
    ]);
    expect((await listWeights(other)).tensors).toEqual([{ name: '', ...listed }]);
  },
);
