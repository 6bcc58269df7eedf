import { readFileSync } from 'node:fs';
import path from 'node:path';
import { runInNewContext } from 'node:vm';
import { TokenLearnerError } from '../../lib';
import { messageOf } from '../../lib/errors';
import codes from '../../lib/error-codes.json';

test('an error has a code, a message, a name and a cause', () => {
  const cause = new Error('why');
  const error = new TokenLearnerError('ERR_DISPOSED', 'The tensor was disposed', { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    code: 'ERR_DISPOSED',
    message: 'The tensor was disposed',
    name: 'TokenLearnerError',
    cause,
  });
  expect(String(error)).toBe('TokenLearnerError: The tensor was disposed');
});

test.each(Object.entries(codes))('%s is a code with a sentence', (code, sentence) => {
  expect(code).toMatch(/^ERR(_[A-Z0-9]+)+$/);
  expect(sentence).toMatch(/^\S.*\.$/);
});

test.each(Object.entries(codes))('%s and its sentence are in docs/errors.md', (code, sentence) => {
  const reference = readFileSync(path.join(__dirname, '..', '..', 'docs', 'errors.md'), 'utf8');
  expect(reference).toContain(`| \`${code}\` | ${sentence} |`);
});

test('errors of another copy of the package are instances of the class too; subclasses keep their own', () => {
  jest.resetModules();
  const other = jest.requireActual<typeof import('../../lib')>('../../lib');
  expect(other.TokenLearnerError).not.toBe(TokenLearnerError);
  const fromNative = (): unknown => {
    try {
      return other.Tensor.empty([2 ** 50]);
    } catch (error) {
      return error;
    }
  };
  expect(fromNative()).toBeInstanceOf(other.TokenLearnerError);
  expect(fromNative()).toBeInstanceOf(TokenLearnerError);
  class Own extends TokenLearnerError {}
  expect(fromNative()).not.toBeInstanceOf(Own);
  expect(new Own('ERR_CLOSED', 'x')).toBeInstanceOf(Own);
  expect(new Own('ERR_CLOSED', 'x')).toBeInstanceOf(TokenLearnerError);
  for (const value of [null, undefined, 3, {}, new Error('x'), TokenLearnerError.prototype]) {
    expect(value instanceof TokenLearnerError).toBe(value === TokenLearnerError.prototype);
  }
});

test('messageOf reads errors of any realm, and anything else as text', () => {
  expect(messageOf(new RangeError('too far'))).toBe('too far');
  expect(messageOf(runInNewContext('new Error("other realm")'))).toBe('other realm');
  expect([messageOf('text'), messageOf(undefined)]).toEqual(['text', 'undefined']);
});
