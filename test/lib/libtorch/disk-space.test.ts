import { existsSync } from 'node:fs';
import path from 'node:path';
import { checkSpace } from '../../../lib/libtorch/disk-space';
import { fakeManifest, temporaryFolder, writeFiles } from './support';

const folder = temporaryFolder();
const entry = fakeManifest('unused', Buffer.alloc(10)).variants.cpu?.['linux-x64'];
if (entry === undefined) throw new Error('no entry');

describe('checkSpace', () => {
  it('makes both folders', async () => {
    const [target, downloads] = [path.join(folder, 'a', 'b'), path.join(folder, 'c')];
    await checkSpace(entry, target, downloads);
    expect([existsSync(target), existsSync(downloads)]).toEqual([true, true]);
  });

  it('refuses what does not fit, with both sizes', async () => {
    const large = { ...entry, unpackedSize: Number.MAX_SAFE_INTEGER };
    await expect(checkSpace(large, folder, null)).rejects.toThrow(
      /needs 9007199255 MB in .* and \d+ MB are free/,
    );
  });

  it('counts what is fetched', async () => {
    const wheels = [{ file: 'a.whl', size: Number.MAX_SAFE_INTEGER, sha256: '' }];
    const fetched = { ...entry, archive: null, wheels };
    await expect(checkSpace(fetched, folder, folder)).rejects.toThrow('MB are free');
    await expect(checkSpace(fetched, folder, null)).resolves.toBeUndefined();
  });

  it('counts what an interrupted download has left only once', async () => {
    const downloads = path.join(folder, 'interrupted');
    writeFiles(downloads, { 'a.whl.part': Buffer.alloc(2_000_000) });
    const wheels = [{ file: 'a.whl', size: Number.MAX_SAFE_INTEGER, sha256: '' }];
    const fetched = { ...entry, archive: null, wheels, unpackedSize: 0 };
    await expect(checkSpace(fetched, folder, downloads)).rejects.toThrow('needs 9007199253 MB');
  });
});
