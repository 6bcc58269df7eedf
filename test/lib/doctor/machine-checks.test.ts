import type { Finding } from '../../../lib/doctor/finding';
import type { Machine } from '../../../lib/doctor/machine';
import { checkMachine } from '../../../lib/doctor/machine-checks';
import { machine } from './support';

function find(name: string, more: Partial<Machine>): Finding {
  const finding = checkMachine(machine(more)).find((each) => each.name === name);
  if (finding === undefined) throw new Error(`no finding ${name}`);
  return finding;
}

it('finds nothing wrong with a good machine', () => {
  expect(checkMachine(machine()).map(({ status }) => status)).toEqual(Array(5).fill('ok'));
});

it.each<[string, Partial<Machine>, string, RegExp]>([
  ['Node', { node: '20.9.0' }, 'failed', /20\.18\.1 or later/],
  ['platform', { glibc: '2.17' }, 'failed', /2\.28 or later/],
  ['platform', { glibc: null }, 'warning', /musl, for which there is no libtorch/],
  ['platform', { arch: 'arm64', glibc: null }, 'warning', /musl/],
  ['platform', { platform: 'sunos', glibc: null }, 'failed', /no build/],
  ['platform', { platform: 'darwin', arch: 'arm64', glibc: null }, 'warning', /never been run/],
  ['platform', { platform: 'win32', glibc: null }, 'warning', /never been run/],
  ['platform', { arch: 's390x' }, 'failed', /no build/],
  ['platform', { arch: 's390x', glibc: null }, 'failed', /no build/],
  ['CPU', { cpu: { model: 'Old', cores: 1, flags: ['sse2'] } }, 'warning', /without AVX2/],
  [
    'memory',
    { memory: { total: 16e9, free: 0.5e9, limit: 4e9 } },
    'warning',
    /0\.5 GB free.*limited to 4\.0 GB/,
  ],
  ['NVIDIA driver', { nvidiaGpus: 2 }, 'warning', /2 NVIDIA GPUs/],
])('%s: %j is %s, with a remedy', (name, more, status, value) => {
  const finding = find(name, more);
  expect(finding.status).toBe(status);
  expect(finding.value).toMatch(value);
  expect(finding.remedy).not.toBeNull();
});

it('says that linux-arm64 is tested in an emulator', () => {
  const { status, value } = find('platform', { arch: 'arm64' });
  expect(status).toBe('ok');
  expect(value).toContain('emulator');
});

it('says nothing of a CPU whose features are not known', () => {
  expect(find('CPU', { cpu: { model: 'CPU', cores: 1, flags: [] } }).status).toBe('ok');
});

it('takes a driver for a driver', () => {
  expect(find('NVIDIA driver', { nvidiaDriver: '580.95.05', nvidiaGpus: 1 })).toMatchObject({
    status: 'ok',
    value: '580.95.05',
  });
});
