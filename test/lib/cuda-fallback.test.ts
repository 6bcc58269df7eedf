import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runtime } from 'tokenlearner';
import { binding } from '../../lib/binding';

const root = path.join(__dirname, '..', '..');
/** The folder of a libcuda.so.1 that answers as the variables FAKE_CUDA_... say. */
const FAKE_DRIVER = path.join(root, 'build', 'cmake', 'test', 'native', 'fake-driver');

const { libtorch, cuda } = runtime.info();
const hasFakeDriver = existsSync(FAKE_DRIVER);
const onCudaBuild = libtorch.cudaBuild && hasFakeDriver ? describe : describe.skip;
const onCpuBuild = libtorch.state !== 'missing' && !libtorch.cudaBuild && hasFakeDriver ? test : test.skip;

interface Outcome {
  reason: string | null;
  detail: string | null;
  /** The device that 'auto' chose. */
  auto: string;
  /** The shape of a result computed there. */
  shape: number[];
  /** The error's code and message for device 'cuda', and its code for 'cuda:1' (`index`). */
  code: string;
  message: string;
  index: string;
}

const SCRIPT = `
  const { runtime, Tensor, TokenLearner } = require('./dist');
  const { reason, detail } = runtime.info().cuda;
  const model = new TokenLearner({ dim: 8 });
  const shape = model.forwardSync(Tensor.ones([1, 8, 4, 4])).shape;
  const refused = (device) => { try { new TokenLearner({ dim: 8, device }); return {}; } catch (error) { return error; } };
  const { code, message } = refused('cuda');
  console.log(JSON.stringify({ reason, detail, auto: model.device, shape, code, message, index: refused('cuda:1').code }));
`;

/** Runs a process with the fake driver and returns its report. It must print nothing on stderr. */
function withDriver(settings: Record<string, string | number>, script = SCRIPT): unknown {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(settings)) variables[name] = String(value);
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', script], {
    cwd: root,
    env: { ...process.env, LD_LIBRARY_PATH: FAKE_DRIVER, ...variables },
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

const hasDriver = binding().cudaDriver();

(hasDriver ? test.skip : test)('without a driver falls back and reports why', () => {
  expect(cuda).toEqual({
    available: false,
    reason: 'no-driver',
    detail: expect.stringContaining('libcuda.so.1') as string,
  });
});

onCpuBuild('a CPU build of libtorch beside a driver falls back and reports why', () => {
  const outcome = withDriver({}) as Outcome;
  expect(outcome).toMatchObject({ reason: 'libtorch-cpu-only', auto: 'cpu', code: 'ERR_CUDA_UNAVAILABLE' });
  expect(outcome.message).toContain('--variant cu130');
});

(hasFakeDriver ? test : test.skip)(
  'without any libtorch beside a driver auto is the CPU; info reports why',
  () => {
    const empty = mkdtempSync(path.join(tmpdir(), 'tokenlearner-no-libtorch-'));
    try {
      const nowhere = {
        HOME: empty,
        XDG_CACHE_HOME: empty,
        TOKENLEARNER_CACHE: empty,
        TOKENLEARNER_LIBTORCH: '',
        PATH: empty,
      };
      const outcome = withDriver(nowhere) as Outcome;
      expect(outcome).toMatchObject({ reason: 'no-libtorch', auto: 'cpu', shape: [1, 8, 8] });
      expect([outcome.code, outcome.index]).toEqual(['ERR_LIBTORCH_NOT_FOUND', 'ERR_LIBTORCH_NOT_FOUND']);
    } finally {
      rmSync(empty, { recursive: true });
    }
  },
);

onCudaBuild('a CUDA build of libtorch', () => {
  test.each([
    ['driver-too-old', { FAKE_CUDA_VERSION: 11040 }, /CUDA 11\.4; this needs 12\.0/],
    // Too old for this build of libtorch only.
    ['driver-too-old', { FAKE_CUDA_VERSION: 12080 }, /CUDA 12\.8; this needs 13\.0/],
    ['no-device', { FAKE_CUDA_INIT: 100 }, /finds no GPU/],
    ['no-device', { FAKE_CUDA_DEVICES: 0 }, /finds no GPU/],
    ['no-visible-device', { FAKE_CUDA_INIT: 100, CUDA_VISIBLE_DEVICES: '' }, /CUDA_VISIBLE_DEVICES is ''/],
    ['out-of-memory', { FAKE_CUDA_INIT: 2 }, /no memory left/],
    ['driver-error', { FAKE_CUDA_INIT: 803 }, /different versions/],
    ['driver-error', { FAKE_CUDA_INIT: 999 }, /CUresult 999/],
    // The driver finds a GPU but cannot create a context on it.
    ['driver-error', {}, /./],
  ])(
    '%s %o: auto is the CPU, cuda is a typed error with a remedy, and nothing is printed',
    (reason, settings, detail) => {
      const outcome = withDriver(settings) as Outcome;
      expect(outcome).toMatchObject({ reason, auto: 'cpu', shape: [1, 8, 8] });
      expect(outcome.detail).toMatch(detail);
      expect([outcome.code, outcome.index]).toEqual(['ERR_CUDA_UNAVAILABLE', 'ERR_CUDA_UNAVAILABLE']);
      expect(outcome.message).toContain(`(${reason})`);
      expect(outcome.message).toMatch(/\n\S/);
    },
  );

  // See Note [CUDA hooks] in native/engine/cuda/probe.hpp.
  test('works after an earlier convolution on the CPU', () => {
    const convolution = `new TokenLearner({ dim: 8, device: 'cpu', engine: 'grouped-conv' }).forwardSync(Tensor.ones([1, 8, 4, 4]));`;
    const detail = (first: string) =>
      withDriver(
        {},
        `const { runtime, Tensor, TokenLearner } = require('./dist');
         ${first}
         console.log(JSON.stringify(runtime.info().cuda.detail));`,
      );
    const alone = detail('');
    expect(alone).not.toContain('ATen_cuda');
    expect(detail(convolution)).toBe(alone);
  });
});
