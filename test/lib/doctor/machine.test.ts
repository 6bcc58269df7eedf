import path from 'node:path';
import { parseCpuFlags } from '../../../lib/cpu-flags';
import {
  availableBytes,
  countNvidiaGpus,
  parseDriverVersion,
  thisMachine,
} from '../../../lib/doctor/machine';
import { temporaryFolder, writeFiles } from '../libtorch/support';

const folder = temporaryFolder();

it('looks at the running machine', () => {
  const found = thisMachine();
  expect(found).toMatchObject({
    node: process.versions.node,
    platform: process.platform,
    arch: process.arch,
  });
  expect(found.memory.free).toBeGreaterThan(0);
  expect(found.memory.free).toBeLessThanOrEqual(found.memory.total);
  expect(found.cpu.cores).toBeGreaterThan(0);
});

it('reads the flags of x86 and of ARM', () => {
  expect(parseCpuFlags('model : x\nflags\t\t: fpu avx2 fma\nbugs : y\n')).toEqual(['fpu', 'avx2', 'fma']);
  expect(parseCpuFlags('Features\t: fp asimd\n')).toEqual(['fp', 'asimd']);
  expect(parseCpuFlags('')).toEqual([]);
});

it('reads the version of the driver, closed and open', () => {
  const closed = 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023';
  const open = 'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build';
  expect([closed, open, ''].map(parseDriverVersion)).toEqual(['535.104.05', '580.95.05', null]);
});

it('counts the GPUs on the bus, and not the sound devices on them', () => {
  const bus = path.join(folder, 'devices');
  writeFiles(bus, {
    '0000:01:00.0/vendor': '0x10de\n',
    '0000:01:00.0/class': '0x030200\n',
    '0000:01:00.1/vendor': '0x10de\n',
    '0000:01:00.1/class': '0x040300\n',
    '0000:02:00.0/vendor': '0x8086\n',
    '0000:02:00.0/class': '0x030000\n',
  });
  expect(countNvidiaGpus(bus)).toBe(1);
  expect(countNvidiaGpus(path.join(folder, 'nowhere'))).toBe(0);
});

it('counts the memory that a limit leaves, with the caches of files', () => {
  const meminfo = 'MemTotal: 8000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n';
  const stat = 'anon 5\ninactive_file 1024\nactive_file 7\n';
  expect(availableBytes(meminfo, null, stat)).toBe(4000 * 1024);
  expect(availableBytes(meminfo, 2048, stat)).toBe(3072);
  expect(availableBytes(meminfo, 2048, '')).toBe(2048);
  expect(availableBytes(meminfo, 9e9, stat)).toBe(4000 * 1024);
  expect(availableBytes('', null, '')).toBeGreaterThan(0);
});

it('asks Node what a limit leaves', () => {
  jest.spyOn(process, 'constrainedMemory').mockReturnValue(2 ** 30);
  const left = jest.spyOn(process, 'availableMemory').mockReturnValue(0);
  const { free, limit } = thisMachine().memory;
  expect([limit, left.mock.calls.length]).toEqual([2 ** 30, 1]);
  expect(free).toBeLessThanOrEqual(2 ** 30);
  jest.restoreAllMocks();
});
