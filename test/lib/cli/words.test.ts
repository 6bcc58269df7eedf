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
