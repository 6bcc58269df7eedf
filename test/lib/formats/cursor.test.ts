import { Cursor } from '../../../lib/formats/cursor';
import { formatErrors } from '../../../lib/formats/format-error';
import { expectThrow } from './support';

function cursor(text: string): Cursor {
  return new Cursor(Buffer.from(text), 'the text is malformed', formatErrors('x'));
}

test('takes tokens and skips white space before them', () => {
  const walk = cursor(' \t\r\n{ : }');
  expect([walk.nextIs(':'), walk.nextIs('{'), walk.take('{'), walk.position]).toEqual([false, true, true, 5]);
  walk.expect(':');
  expect([walk.take(':'), walk.take('}')]).toEqual([false, true]);
  walk.end();
});

test('errors name the problem, the expected token and the byte', () => {
  const message = "x: the text is malformed: expected '}' at byte 1";
  expectThrow(
    () => {
      cursor(' {').expect('}');
    },
    'ERR_FILE_FORMAT',
    message,
  );
});

test('text after the end is an error, white space is not', () => {
  cursor('  ').end();
  expectThrow(
    () => {
      cursor('  x').end();
    },
    'ERR_FILE_FORMAT',
    'trailing characters at byte 2',
  );
});

test('white space between tokens is limited', () => {
  expect(cursor(`${' '.repeat(2 ** 16)}{`).take('{')).toBe(true);
  expectThrow(
    () => cursor(`${' '.repeat(2 ** 16 + 1)}{`).take('{'),
    'ERR_FILE_FORMAT',
    /over 65536 bytes of white space/,
  );
});
