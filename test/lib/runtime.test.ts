import { existsSync } from 'node:fs';
import { Linear, runtime, Tensor, TokenLearner } from '../../lib';
import { version } from '../../package.json';
import { expectThrow } from './formats/support';

test('info describes this installation', () => {
  const info = runtime.info();
  expect(info).toMatchObject({
    version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    problem: null,
  });
  expect(info.addon?.version).toBe(version);
  expect(existsSync(info.addon?.path ?? '')).toBe(true);
  expect(info.libtorch.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(existsSync(info.libtorch.path ?? '')).toBe(true);
  expect(info.devices[0]).toEqual({
    device: 'cpu',
    name: 'CPU',
    totalMemory: null,
    computeCapability: null,
    fused: { reason: null, refusedKernels: [] },
  });
  expect(info.threads).toBeGreaterThanOrEqual(1);
  const isas = { x64: ['baseline', 'avx2', 'avx512'], arm64: ['neon'] }[process.arch as 'x64' | 'arm64'];
  expect(isas).toContain(info.cpu?.isa);
});

test('without a GPU info gives the reason', () => {
  const { cuda, devices } = runtime.info();
  expect(devices.length > 1).toBe(cuda.available);
  expect(cuda.available ? cuda.reason : typeof cuda.reason).toBe(cuda.available ? null : 'string');
  expect(cuda.available ? cuda.detail : typeof cuda.detail).toBe(cuda.available ? null : 'string');
});

test('memory counts tensors, bytes and layers until they are disposed', () => {
  const before = runtime.memory();
  const tensor = Tensor.zeros([1000]);
  const layer = new TokenLearner({ dim: 4, device: 'cpu' });
  const during = runtime.memory();
  expect(during.liveTensors - before.liveTensors).toBe(1);
  expect(during.liveBytes - before.liveBytes).toBe(4000);
  expect(during.liveLayers - before.liveLayers).toBe(1);
  tensor.dispose();
  layer.dispose();
  expect(runtime.memory()).toEqual(before);
});

test('memory that JavaScript owns is not counted', () => {
  const before = runtime.memory();
  Tensor.from(new Float32Array(100));
  expect(runtime.memory()).toEqual(before);
});

describe('configure', () => {
  test('refuses another libtorch after one is loaded', () => {
    new Linear(1, 1, { device: 'cpu' }).dispose();
    expectThrow(
      () => {
        runtime.configure({ libtorch: '/nowhere' });
      },
      'ERR_INVALID_ARG_VALUE',
      'libtorch is already loaded',
    );
  });

  test('refuses a libtorch that is not a string, and unknown options', () => {
    expectThrow(
      () => {
        runtime.configure({ libtorch: 3 as never });
      },
      'ERR_INVALID_ARG_TYPE',
      '`options.libtorch`',
    );
    expectThrow(
      () => {
        runtime.configure({ torch: 'x' } as never);
      },
      'ERR_INVALID_ARG_VALUE',
      "'torch'",
    );
  });
});
