import { addonPath, binding, findLibtorch, libtorchLocation, requireLibtorch } from '../../lib/binding';
import type { NativeBinding } from '../../lib/native-interface';
import { runtime } from '../../lib/runtime';

jest.mock('../../lib/binding');

const gpu = { index: 1, name: 'A GPU', totalMemory: 80e9, computeCapability: '9.0' };
const refused = { kernel: 'wgmma bfloat16', reason: 'no kernel image is available' };

/** An addon on a machine with one GPU, whose fused engine has refused a kernel. */
const native = {
  build: { version: '1.0.0', cuda: true, cudaArchitectures: '90a-real', torchTarget: '2.11' },
  cpu: () => ({ threads: 4, threadsReason: 'cores', isas: ['baseline'] }),
  libtorch: () => null,
  cudaDriver: () => true,
  cuda: () => ({ available: true, reason: null, detail: null, devices: [gpu], defaultDevice: 1 }),
  fused: (device: number) =>
    device < 0 ? { reason: null, refusedKernels: [] } : { reason: null, refusedKernels: [refused] },
} as unknown as NativeBinding;

test('info lists the CPU and each GPU with what the fused engine does not use there', () => {
  jest.mocked(binding).mockReturnValue(native);
  jest.mocked(requireLibtorch).mockReturnValue(native);
  jest.mocked(addonPath).mockReturnValue('/addon.node');
  jest.mocked(libtorchLocation).mockReturnValue(undefined);
  const found = { libDir: '/lib', root: '/', version: '2.13.0', variant: 'cu130', hasCuda: true };
  jest.mocked(findLibtorch).mockReturnValue({ ...found, source: 'cache' });
  expect(runtime.info()).toMatchObject({
    problem: null,
    devices: [
      {
        device: 'cpu',
        name: 'CPU',
        totalMemory: null,
        computeCapability: null,
        fused: { reason: null, refusedKernels: [] },
      },
      {
        device: 'cuda:1',
        name: 'A GPU',
        totalMemory: 80e9,
        computeCapability: '9.0',
        fused: { reason: null, refusedKernels: [refused] },
      },
    ],
  });
});
