import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { Linear, runtime, Tensor, TokenLearner } from '../../lib';
import { version } from '../../package.json';
import { expectThrow } from './formats/support';

type WebAssemblyMemory = new (descriptor: { initial: number }) => { buffer: ArrayBuffer };

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

describe('freeBuffer', () => {
  test('empties typed arrays at once', () => {
    const bytes = new Uint8Array(100_000).fill(7);
    expect(runtime.freeBuffer(bytes.buffer)).toBe(true);
    expect([bytes.length, bytes.buffer.byteLength]).toEqual([0, 0]);
    expect(runtime.freeBuffer(bytes.buffer)).toBe(true);
  });

  test("a tensor's memory stays valid for a forward that reads it", async () => {
    const x = Tensor.ones([1, 4, 9, 9]);
    const model = new TokenLearner({ dim: 4, device: 'cpu' });
    const { buffer } = x.data;
    const expected = model.forwardSync(x);
    const running = model.forward(x);
    expect(runtime.freeBuffer(buffer as ArrayBuffer)).toBe(true);
    expect((await running).equals(expected)).toBe(true);
    expectThrow(() => x.data, 'ERR_DETACHED', 'detached');
  });

  test('leaves what cannot be detached, and refuses what is no ArrayBuffer', () => {
    const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: WebAssemblyMemory } }).WebAssembly;
    const { buffer } = new Memory({ initial: 1 });
    expect(runtime.freeBuffer(buffer)).toBe(false);
    expect(buffer.byteLength).toBe(65_536);
    for (const value of [undefined, null, 1, new Uint8Array(4), new SharedArrayBuffer(4), {}]) {
      expectThrow(() => runtime.freeBuffer(value as ArrayBuffer), 'ERR_INVALID_ARG_TYPE', 'an ArrayBuffer');
    }
  });

  test('in a worker it works from Node 22 on', async () => {
    const program = `
      const { runtime } = require(require('node:worker_threads').workerData);
      const bytes = new Uint8Array(100);
      require('node:worker_threads').parentPort.postMessage([runtime.freeBuffer(bytes.buffer), bytes.length]);`;
    const worker = new Worker(program, { eval: true, workerData: path.resolve(__dirname, '../../dist') });
    const [freed] = (await once(worker, 'message')) as [unknown];
    expect(freed).toEqual('transfer' in ArrayBuffer.prototype ? [true, 0] : [false, 100]);
    await worker.terminate();
  });
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
