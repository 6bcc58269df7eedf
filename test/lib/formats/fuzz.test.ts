import { readdirSync } from 'node:fs';

import fc from 'fast-check';

import { TokenLearnerError } from '../../../lib/errors';
import { parseCheckpoint } from '../../../lib/formats/checkpoint';
import { parseFlax } from '../../../lib/formats/flax';
import { parseNpy } from '../../../lib/formats/npy';
import { parseNpz } from '../../../lib/formats/npz';
import { unpickle } from '../../../lib/formats/pickle';
import { parseSafetensors } from '../../../lib/formats/safetensors';
import { dict, pickle, tensor } from './pickle-writer';
import { expectReject, fixture, FIXTURES } from './support';

/** Small changes to a file: bytes set, runs removed, runs repeated. Positions are fractions of its length. */
interface Edit {
  kind: 'set' | 'remove' | 'repeat';
  at: number;
  length: number;
  value: number;
}

const edits = fc.array(
  fc.record<Edit>({
    kind: fc.constantFrom('set', 'set', 'set', 'remove', 'repeat'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 1, max: 16 }),
    value: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 0x7f, 0x80, 0xff)),
  }),
  { minLength: 1, maxLength: 6 },
);

function edited(bytes: Uint8Array, list: readonly Edit[]): Uint8Array {
  return list.reduce((current, { kind, at, length, value }) => {
    const start = Math.floor(at * Math.max(current.length - 1, 0));
    if (kind === 'set') return Uint8Array.from(current, (byte, i) => (i === start ? value : byte));
    const end = Math.min(start + length, current.length);
    const run = kind === 'repeat' ? current.subarray(start, end) : new Uint8Array(0);
    const head = current.subarray(0, kind === 'repeat' ? end : start);
    return Buffer.concat([head, run, current.subarray(end)]);
  }, bytes);
}

function files(ending: string): Uint8Array[] {
  return readdirSync(FIXTURES)
    .filter((name) => name.endsWith(ending))
    .map(fixture);
}

/** Runs a reader, which may succeed or throw the package's own error, and nothing else. */
async function reads(read: () => unknown): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (!(error instanceof TokenLearnerError)) throw error;
  }
}

const readers: [string, string, (bytes: Uint8Array) => unknown][] = [
  ['safetensors', '.safetensors', (bytes) => parseSafetensors(bytes)],
  ['npy', '.npy', (bytes) => parseNpy(bytes)],
  ['npz', '.npz', (bytes) => parseNpz(bytes)],
  ['flax', '.msgpack', (bytes) => parseFlax(bytes)],
  ['checkpoints', '.pt', (bytes) => parseCheckpoint(bytes)],
];

describe.each(readers)('%s', (_, ending, read) => {
  test('random bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), (bytes) => reads(() => read(bytes))));
  });

  test('changed files', async () => {
    const file = fc.constantFrom(...files(ending));
    const property = fc.asyncProperty(file, edits, (bytes, list) => reads(() => read(edited(bytes, list))));
    await fc.assert(property, { numRuns: 1500 });
  });

  test('the start of one file and the rest of another', async () => {
    const file = fc.constantFrom(...files(ending));
    const cut = fc.double({ min: 0, max: 1, noNaN: true });
    const property = fc.asyncProperty(file, file, cut, cut, (a, b, end, start) =>
      reads(() => read(Buffer.concat([a.subarray(0, end * a.length), b.subarray(start * b.length)]))),
    );
    await fc.assert(property, { numRuns: 300 });
  });
});

describe('pickles', () => {
  const read = (bytes: Uint8Array) => unpickle(bytes, 'pickle');
  const operations = [
    ...Buffer.from('().012NJKM}]luae0tsdbRQqh'),
    0x85,
    0x86,
    0x87,
    0x88,
    0x8f,
    0x90,
    0x93,
    0x94,
  ];

  test('random operations', async () => {
    const bytes = fc.uint8Array({ maxLength: 60 });
    const opcodes = fc
      .array(fc.constantFrom(...operations), { maxLength: 60 })
      .map((list) => Uint8Array.from(list));
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, opcodes), (program) => reads(() => read(program))),
      {
        numRuns: 3000,
      },
    );
  });

  test('changed pickles', async () => {
    const sound = pickle(dict({ w: tensor(), nested: dict({ b: tensor({ shape: [], strides: [] }) }) }));
    const property = fc.asyncProperty(edits, (list) => reads(() => read(edited(sound, list))));
    await fc.assert(property, { numRuns: 3000 });
  });

  test('no global off the list is ever taken', async () => {
    const name = fc.stringMatching(/^[a-zA-Z_.]{1,20}$/);
    await fc.assert(
      fc.asyncProperty(name, name, async (module, attribute) => {
        const program = Buffer.from(`\x80\x02c${module}\n${attribute}\n.`, 'latin1');
        await expectReject(read(program), 'ERR_UNSAFE_PICKLE', `${module}.${attribute}`);
      }),
    );
  });
});
