import type { Finding } from '../../../lib/doctor/finding';
import { checkProbe } from '../../../lib/doctor/probe-checks';
import type { ProbeEvent, ProbeReport } from '../../../lib/doctor/probe-report';
import { machine } from './support';

const addon = { path: 'a.node', version: '1.0.0', cuda: false, cudaArchitectures: '' };
const cpuOnly = {
  available: false,
  reason: 'libtorch-cpu-only',
  detail: 'a CPU build',
  devices: [],
  defaultDevice: 0,
};
const result = { device: 'cpu', engine: 'fused', error: 1e-7, tolerance: 2.5e-7, first: 10, second: 1 };

function check(
  events: ProbeEvent[],
  more: Parameters<typeof machine>[0] = {},
  crash: ProbeReport['crash'] = null,
): Finding[] {
  return checkProbe({ events, crash }, machine(more), '1.0.0');
}

it('says nothing of the beginning of a step', () => {
  expect(check([{ step: 'addon', begin: true }])).toEqual([]);
});

it('tells of an addon of another version', () => {
  expect(check([{ step: 'addon', addon }])).toMatchObject([{ status: 'ok' }]);
  expect(check([{ step: 'addon', addon: { ...addon, version: '0.9.0' } }])).toMatchObject([
    { status: 'warning', value: expect.stringContaining('the package is 1.0.0') as string },
  ]);
});

it('gives a problem its code and its remedy', () => {
  const problem = { code: 'ERR_LIBTORCH_INCOMPATIBLE' as const, message: 'too old' };
  expect(check([{ step: 'libtorch', problem }])).toEqual([
    {
      name: 'libtorch',
      status: 'failed',
      value: 'too old [ERR_LIBTORCH_INCOMPATIBLE]',
      remedy: 'npx tokenlearner runtime install',
    },
  ]);
});

it('warns of a missing libtorch, since a TokenLearner on the CPU works without it', () => {
  const problem = { code: 'ERR_LIBTORCH_NOT_FOUND' as const, message: 'No libtorch was found' };
  expect(check([{ step: 'libtorch', problem }])).toMatchObject([
    { name: 'libtorch', status: 'warning', value: expect.stringContaining('works without it') as string },
  ]);
});

it('takes the absence of CUDA for a finding only where there is a GPU', () => {
  expect(check([{ step: 'cuda', cuda: cpuOnly }])).toMatchObject([{ status: 'ok' }]);
  expect(check([{ step: 'cuda', cuda: cpuOnly }], { nvidiaGpus: 1 })).toMatchObject([
    { status: 'warning', remedy: expect.stringContaining('--variant cu130') as string },
  ]);
});

it('lists the GPUs that can be used', () => {
  const devices = [{ index: 0, name: 'H200', totalMemory: 141e9, computeCapability: '9.0' }];
  const cuda = { available: true, reason: null, detail: null, devices, defaultDevice: 0 };
  expect(check([{ step: 'cuda', cuda }])).toMatchObject([
    { name: 'cuda:0', status: 'ok', value: 'H200, 141 GB, compute capability 9.0' },
  ]);
});

it('fails on wrong results, also on NaN', () => {
  const step = 'self-test cpu fused';
  const check1 = (error: number) => check([{ step, selfTest: { ...result, error } }])[0]?.status;
  expect([1e-7, 2.5e-7, 3e-7, NaN].map(check1)).toEqual(['ok', 'ok', 'failed', 'failed']);
});

it('names the step of a crash', () => {
  const events: ProbeEvent[] = [
    { step: 'addon', addon },
    { step: 'cuda', begin: true },
  ];
  const findings = check(events, {}, { step: 'cuda', reason: 'SIGSEGV' });
  expect(findings.at(-1)).toMatchObject({
    name: 'cuda',
    status: 'failed',
    value: expect.stringContaining('SIGSEGV') as string,
    remedy: expect.stringContaining('CUDA_VISIBLE_DEVICES=') as string,
  });
});

it('says what forbids child processes', () => {
  expect(check([], {}, { step: 'start', reason: 'spawnSync node EAGAIN' })).toMatchObject([
    {
      name: 'probe',
      status: 'failed',
      value: 'no child process could try it: spawnSync node EAGAIN',
      remedy: expect.stringMatching(/--allow-child-process.*ulimit -u/) as string,
    },
  ]);
});

it('does not take an error in the child process for one that could not start', () => {
  const [finding] = check([], {}, { step: 'probe', reason: 'exit code 1: Error: x' });
  expect(finding).toMatchObject({
    name: 'probe',
    status: 'failed',
    value: 'the process that tried it ended: exit code 1: Error: x',
  });
  expect(finding?.remedy).toMatch(/^No native code was tried\. Report it/);
});
