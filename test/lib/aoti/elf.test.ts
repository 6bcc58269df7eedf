import fc from 'fast-check';
import { readElf } from '../../../lib/aoti/elf';
import { TokenLearnerError } from '../../../lib/errors';
import { bytesSource } from '../../../lib/formats/byte-source';
import { formatErrors } from '../../../lib/formats/format-error';
import { elf } from './support';

const read = (bytes: Uint8Array) => readElf(bytesSource(bytes), formatErrors('x.so'));

test('reads the machine, the libraries and the symbols that must be there', async () => {
  expect(await read(elf({ undefined: ['aoti_torch_get_dim', 'free'], machine: 183 }))).toEqual({
    machine: 183,
    needed: ['libtorch_cpu.so', 'libc.so.6'],
    undefined: ['aoti_torch_get_dim', 'free'],
  });
});

test.each([
  ['text', Buffer.from('a text that is long enough to be the header of an ELF file, not one')],
  ['32 bits', Buffer.from(elf()).fill(1, 4, 5)],
  ['big endian', Buffer.from(elf()).fill(2, 5, 6)],
  ['a program', elf({ type: 2 })],
  ['nothing', Buffer.alloc(0)],
])('refuses %s', async (_, bytes) => {
  await expect(read(bytes)).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
});

test('refuses every truncated library', async () => {
  const whole = elf();
  for (let length = 0; length < whole.length; length += 1)
    await expect(read(whole.subarray(0, length))).rejects.toBeInstanceOf(TokenLearnerError);
});

test('changed bytes are a result or a typed error, within bounded memory', async () => {
  const whole = elf();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      async (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        await read(bytes).catch((error: unknown) => {
          expect(error).toBeInstanceOf(TokenLearnerError);
        });
      },
    ),
    { numRuns: 2000 },
  );
});
