import { entryVersion, manifest, manifestEntry } from '../../../lib/libtorch/manifest';
import { isOlder, parseVersion } from '../../../lib/libtorch/version';
import requirements from '../../../lib/requirements.json';

const entries = Object.values(manifest.variants).flatMap((targets) => Object.values(targets));

describe('the manifest', () => {
  it('has a pinned version that is not older than the minimum', () => {
    for (const version of [manifest.version, ...entries.map((entry) => entryVersion(entry))]) {
      expect(parseVersion(version)).not.toBeNull();
      expect(isOlder(version, requirements.libtorch)).toBe(false);
    }
  });

  it('has the size and the sha256 of every file that is downloaded without pip', () => {
    for (const { archive } of entries) {
      if (archive === null) continue;
      expect(archive.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(archive.size).toBeGreaterThan(0);
      expect(new URL(archive.url).protocol).toBe('https:');
    }
    expect(manifestEntry('cpu', 'linux-x64').archive).not.toBeNull();
  });

  it('has the size and the sha256 of every wheel of a CUDA build, or of none', () => {
    for (const { wheels = [], archive } of entries) {
      if (wheels.length === 0) continue;
      expect(archive).toBeNull();
      expect(wheels.filter(({ file }) => file.startsWith('torch-'))).toHaveLength(1);
      for (const { file, size, sha256 } of wheels) {
        expect(file).toMatch(/^[\w.]+-[\w.]+-.*\.whl$/);
        expect(sha256).toMatch(/^[0-9a-f]{64}$/);
        expect(size).toBeGreaterThan(0);
      }
    }
    expect(manifestEntry('cu130', 'linux-x64').wheels?.length).toBeGreaterThan(10);
    expect(manifestEntry('cu126', 'linux-x64').wheels).toEqual([]);
  });

  it('asks pip for the version that it states', () => {
    for (const entry of entries) expect(entry.pip.requirement).toContain(`==${entryVersion(entry)}`);
  });
});

describe('manifestEntry', () => {
  it('names the variants and platforms there are', () => {
    expect(() => manifestEntry('cu999', 'linux-x64')).toThrow(
      'Expected one of cpu, cu130, cu126 for `variant` but received cu999',
    );
    expect(() => manifestEntry('cpu', 'sunos-x64')).toThrow(
      /no cpu libtorch for sunos-x64, only for linux-x64/,
    );
  });
});
