/** libtorch is loaded only by what needs it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { resultOf } from './run';

// With a driver, 'auto' must ask libtorch.
const reason = execFileSync(process.execPath, ['-p', "require('./dist').runtime.info().cuda.reason"], {
  cwd: path.join(__dirname, '..', '..'),
  encoding: 'utf8',
}).trim();
const withoutDriver = reason === 'no-driver' ? describe : describe.skip;

const empty = mkdtempSync(path.join(tmpdir(), 'tokenlearner-empty-'));
afterAll(() => {
  rmSync(empty, { recursive: true });
});

const works = {
  models: {
    shapes: [
      [1, 64, 8],
      [1, 8, 32, 32],
      [2, 128, 16],
      [1, 512],
      [2, 8, 8],
      [2, 8, 8],
      [2, 8, 8],
    ],
  },
  device: 'cpu',
  dtypes: [true, true, true, true],
  files: [true, true],
  isMapped: false,
};

withoutDriver('a fused TokenLearner on the CPU, tensors and files', () => {
  it('do not load an installed libtorch', async () => {
    expect(await resultOf('on-demand')).toEqual({
      ...works,
      state: 'found',
      problem: null,
      failures: { linear: null, gelu: null, norm: null, pool: null, engine: null },
    });
  });

  it('work without any libtorch; the rest says what needs it', async () => {
    const nowhere = { PATH: empty, HOME: empty, XDG_CACHE_HOME: empty, TOKENLEARNER_CACHE: empty };
    const missing = (user: string) => ({
      code: 'ERR_LIBTORCH_NOT_FOUND',
      sentence: `${user} needs libtorch`,
    });
    // The npm package with libtorch may be installed beside a checkout.
    const env = { ...nowhere, TOKENLEARNER_LIBTORCH: empty };
    expect(await resultOf('on-demand', [], [], env)).toEqual({
      ...works,
      state: 'missing',
      problem: 'ERR_LIBTORCH_NOT_FOUND',
      failures: {
        linear: missing('Linear'),
        gelu: missing('GELU'),
        norm: missing('LayerNorm'),
        pool: missing('MaxPool2d'),
        engine: missing("Engine 'grouped-conv'"),
      },
    });
  });
});
