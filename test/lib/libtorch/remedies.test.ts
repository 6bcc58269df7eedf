import type * as Remedies from '../../../lib/libtorch/remedies';

const host = { platform: 'linux', arch: 'x64' } as Parameters<typeof Remedies.remedies>[0];

/** The remedies on a system whose glibc has this version; null is musl. */
function remediesWith(glibc: string | null): string[] {
  jest.resetModules();
  jest.doMock('../../../lib/libtorch/libc', () => ({ glibcVersion: () => glibc }));
  return jest.requireActual<typeof Remedies>('../../../lib/libtorch/remedies').remedies(host);
}

const onLinux = process.platform === 'linux' ? it : it.skip;

onLinux('on musl the only remedy is another distribution', () => {
  expect(remediesWith(null)).toEqual([expect.stringMatching(/glibc.*no libtorch for musl/)]);
  expect(remediesWith('2.36').length).toBeGreaterThan(1);
});
