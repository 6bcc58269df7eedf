import fc from 'fast-check';

import { TokenLearnerError } from '../../../lib/errors';
import { formatErrors } from '../../../lib/formats/format-error';
import { JsonCursor } from '../../../lib/formats/json-cursor';

const cursor = (text: string | Uint8Array): JsonCursor =>
  new JsonCursor(Buffer.from(text), 'the text', formatErrors('x'));

/** True if the whole text is accepted as one value. */
async function accepts(text: string | Uint8Array): Promise<boolean> {
  try {
    const json = cursor(text);
    json.skip(2 ** 16);
    await json.paddedEnd(() => Promise.resolve());
    return true;
  } catch (error) {
    if (error instanceof TokenLearnerError && error.code === 'ERR_FILE_FORMAT') return false;
    throw error;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('takes what JSON.parse takes', async () => {
  const property = fc.asyncProperty(fc.json({ maxDepth: 5 }), async (text) => {
    expect(await accepts(text)).toBe(true);
  });
  await fc.assert(property);
});

test('refuses what JSON.parse refuses', async () => {
  const token = fc.constantFrom(
    ...Array.from('{}[]:,"\\ue+-.01 \n'),
    'null',
    'true',
    '"a"',
    '1.5e3',
    '\u00e9',
  );
  const property = fc.asyncProperty(fc.array(token, { maxLength: 8 }), async (tokens) => {
    const text = tokens.join('');
    expect([text, await accepts(text)]).toEqual([text, isJson(text)]);
  });
  await fc.assert(property, { numRuns: 3000 });
});

test('strings are those of JSON.parse', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(cursor(JSON.stringify(value)).string(2 ** 16)).toBe(value);
    }),
  );
});

test.each([
  ['0', 0],
  ['42 ', 42],
  ['9007199254740991', 2 ** 53 - 1],
  ['-1', NaN],
  ['1.0', NaN],
  ['1e3', NaN],
  ['true', NaN],
  ['"1"', NaN],
  ['[1]', NaN],
])('%s is the integer %d', (text, value) => {
  expect(cursor(text).integer(100)).toBe(value);
});

test.each(['"\ud800"', '"\\ud800"', '"\\udc00\\ud800"'])(
  'the lone surrogate in %j is refused',
  async (text) => {
    // Encoded as UTF-8 it becomes another character; here it is escaped or encoded as if it were one.
    const bytes = text.includes('\\') ? text : Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22);
    expect(await accepts(bytes)).toBe(false);
  },
);

test('limits count bytes', () => {
  expect(cursor('"\u00e9\u00e9"').string(4)).toBe('\u00e9\u00e9');
  expect(() => cursor('"\u00e9\u00e9"').string(3)).toThrow(/a string of over 3 bytes/);
  expect(() => cursor('1'.repeat(500)).integer(1000)).toThrow(/unexpected/);
});
