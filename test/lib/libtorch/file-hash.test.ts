import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileSha256 } from '../../../lib/libtorch/file-hash';
import { sha256, temporaryFolder } from './support';

const folder = temporaryFolder();

describe('fileSha256', () => {
  it('hashes a whole file, and has no hash for what is none', async () => {
    const file = path.join(folder, 'file');
    writeFileSync(file, 'a'.repeat(200_000));
    expect(await fileSha256(file)).toBe(sha256('a'.repeat(200_000)));
    expect(await fileSha256(path.join(folder, 'missing'))).toBeNull();
    expect(await fileSha256(folder)).toBeNull();
  });
});
