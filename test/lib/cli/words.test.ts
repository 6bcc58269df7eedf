import { type ErrorCode, TokenLearnerError } from '../../../lib/errors';
import { UsageError } from '../../../lib/cli/usage-error';
import { inWordsOfCommand } from '../../../lib/cli/words';

const inWords = (code: ErrorCode, message: string): unknown =>
  inWordsOfCommand(new TokenLearnerError(code, message), ['tileSize', 'mean', 'tls', 'models'], {
    mean: 'normalize',
    std: 'normalize',
    models: 'model',
  });

it.each([
  ['Expected 1 for `options.tileSize` but', 'Expected 1 for --tile-size but'],
  ['`options.tileSize[3]`', '--tile-size'],
  ['no `options.mean`, `options.std` for', 'no --normalize for'],
  ['`options.tls.cert`', '--tls-cert'],
  ['`options.models`', '--model'],
  ['`options.models.a.b.maxPixels`', '--max-pixels'],
  ['`options.tileSize` (--tile-size)', '--tile-size'],
])('%s: wrong usage, as %s', (message, expected) => {
  const error = inWords('ERR_OUT_OF_RANGE', message);
  expect(error).toBeInstanceOf(UsageError);
  expect(error).toMatchObject({ message: `${expected} [ERR_OUT_OF_RANGE]` });
});

it('another failure stays one', () => {
  expect(inWords('ERR_SHAPE_MISMATCH', 'give `options.tileSize`')).toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
    message: 'give --tile-size',
  });
});

it.each(['Expected 1 for `options.dim` but', 'no option'])("%s: not the command's", (message) => {
  expect(inWords('ERR_OUT_OF_RANGE', message)).toMatchObject({ code: 'ERR_OUT_OF_RANGE', message });
});

it.each([
  ['only the options prefix, eps', 'eps2', undefined],
  ['only the options prefix, eps', 'tileSize', '--tile-size is not for a Layer'],
  ['no options', 'mean', '--normalize is not for a Layer'],
])('an option that the module does not have: %s, received %s', (allowed, received, expected) => {
  const error = new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected ${allowed} for \`options\` but received '${received}'`,
  );
  const told = inWordsOfCommand(error, ['tileSize', 'mean'], { mean: 'normalize' }, 'Layer');
  if (expected === undefined) expect(told).toBe(error);
  else expect(told).toMatchObject({ message: `${expected} [ERR_INVALID_ARG_VALUE]` });
});

it('an option that is to be set', () => {
  const error = new TokenLearnerError('ERR_UNTRUSTED_CODE', 'pass `trusted: true` if');
  expect(inWordsOfCommand(error, ['trusted'])).toMatchObject({ message: 'pass --trusted if' });
  expect(inWordsOfCommand(error, ['key'])).toBe(error);
});

it('names of options in messages about files', () => {
  const error = new TokenLearnerError(
    'ERR_STATE_DICT',
    'choose with `prefix`, `key`, or leave it out with `filter`',
  );
  expect(inWordsOfCommand(error, ['prefix', 'filter'], { filter: 'to' })).toMatchObject({
    message: 'choose with --prefix, `key`, or leave it out with --to',
  });
});
