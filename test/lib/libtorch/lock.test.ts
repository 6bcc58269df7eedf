import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { withLock } from '../../../lib/libtorch/lock';
import { temporaryFolder } from './support';

const folder = temporaryFolder();

describe('withLock', () => {
  it('lets one in at a time, tells the others, and leaves nothing behind', async () => {
    const file = path.join(folder, 'contended');
    let inside = 0;
    let most = 0;
    const onWait = jest.fn();
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withLock(file, work, { poll: 2, onWait })));
    expect(most).toBe(1);
    expect(onWait).toHaveBeenCalledTimes(2);
    expect(existsSync(file)).toBe(false);
  });

  it('opens again when the work fails', async () => {
    const file = path.join(folder, 'failed');
    await expect(withLock(file, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(withLock(file, () => Promise.resolve('done'))).resolves.toBe('done');
  });

  it('takes over from a process that is gone', async () => {
    const file = path.join(folder, 'gone');
    // No process has this number: Linux ends at 2^22, and Windows' are multiples of 4.
    writeFileSync(file, JSON.stringify({ token: 'other', pid: 2 ** 30 + 1, host: hostname() }));
    await expect(withLock(file, () => Promise.resolve('done'), { poll: 2 })).resolves.toBe('done');
  });

  it("takes over another machine's lock only when nobody renews it", async () => {
    const file = path.join(folder, 'remote');
    writeFileSync(file, JSON.stringify({ token: 'other', pid: 1, host: 'elsewhere.invalid' }));
    const onWait = jest.fn(() => {
      utimesSync(file, 0, 0);
    });
    await expect(withLock(file, () => Promise.resolve('done'), { poll: 2, onWait })).resolves.toBe('done');
    expect(onWait).toHaveBeenCalledTimes(1);
    expect(readdirSync(folder)).not.toContainEqual(expect.stringMatching(/^remote/));
  });
});
