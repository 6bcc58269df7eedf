import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
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

  it('says what to do where it cannot be created', async () => {
    writeFileSync(path.join(folder, 'no-folder'), '');
    const file = path.join(folder, 'no-folder', 'lock');
    const remedy = 'Choose another.';
    await expect(withLock(file, () => Promise.resolve(), { remedy })).rejects.toThrow(
      /cannot be created: .*\. Choose another\.$/,
    );
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

  it("takes over another machine's lock only if it is not renewed", async () => {
    const file = path.join(folder, 'remote');
    writeFileSync(file, JSON.stringify({ token: 'other', pid: 1, host: 'elsewhere.invalid' }));
    const onWait = jest.fn();
    const options = { poll: 2, stale: 100, onWait };
    await expect(withLock(file, () => Promise.resolve('done'), options)).resolves.toBe('done');
    expect(onWait).toHaveBeenCalledTimes(1);
    expect(readdirSync(folder)).not.toContainEqual(expect.stringMatching(/^remote/));
  });
});

describe('a lock that is not renewed', () => {
  const later = new Date(Date.now() + 365 * 24 * 3600 * 1000);
  const soon = new Date(Date.now() + 20_000);
  const holder = (more: object): string =>
    JSON.stringify({ token: 'other', pid: process.pid, host: hostname(), ...more });

  it.each([
    ['of a live process, a year ahead', {}, later, 60_000],
    ['of a live process of another user, a year ahead', { pid: 1 }, later, 60_000],
    ['of a live process, less ahead than a lock may be old', {}, soon, 200],
    ['of another machine, whose clock is ahead', { host: 'elsewhere.invalid' }, later, 200],
    ['of another machine, whose clock is behind', { host: 'elsewhere.invalid' }, new Date(0), 200],
    ['of a live process, from the past', {}, new Date(0), 60_000],
  ])('%s, is taken over', async (name, more, time, stale) => {
    const file = path.join(folder, name);
    writeFileSync(file, holder(more));
    utimesSync(file, time, time);
    await expect(withLock(file, () => Promise.resolve('done'), { poll: 2, stale })).resolves.toBe('done');
    expect(existsSync(file)).toBe(false);
  });

  it('is taken over also where its process ended before it was written', async () => {
    const file = path.join(folder, 'empty');
    writeFileSync(file, '');
    await expect(withLock(file, () => Promise.resolve('done'), { poll: 2, stale: 100 })).resolves.toBe(
      'done',
    );
  });

  it.each([
    ['ahead', later],
    ['behind', new Date(0)],
  ])('is waited for while another machine renews it, whose clock is %s', async (name, clock) => {
    const file = path.join(folder, `renewed ${name}`);
    writeFileSync(file, holder({ host: 'elsewhere.invalid' }));
    let renewals = 0;
    const renew = (): void => {
      const time = new Date(clock.getTime() + ++renewals * 1000);
      utimesSync(file, time, time);
    };
    renew();
    const renewal = setInterval(renew, 5);
    const work = jest.fn(() => Promise.resolve('done'));
    const done = withLock(file, work, { poll: 2, stale: 2000 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(work).not.toHaveBeenCalled();
    clearInterval(renewal);
    rmSync(file);
    await expect(done).resolves.toBe('done');
  });
});

describe('a file that is not a lock', () => {
  it.each([
    ['text', 'words'],
    ['JSON', '{ "name": "yarn" }'],
    ['a lock of another program', '12345\n'],
    ['a holder without a process', JSON.stringify({ token: 'other', pid: -1, host: hostname() })],
    ['a large file', 'x'.repeat(100_000)],
  ])('%s, is left alone, however old', async (name, text) => {
    const file = path.join(folder, `foreign ${name}`);
    writeFileSync(file, text);
    utimesSync(file, 0, 0);
    const work = jest.fn();
    const failed = withLock(file, work, { poll: 2 });
    await expect(failed).rejects.toMatchObject({ code: 'ERR_LIBTORCH_INSTALL' });
    await expect(failed).rejects.toThrow(`${file} has the name of a lock`);
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(work).not.toHaveBeenCalled();
  });

  it('a folder in its place, and one where none can be made, are errors', async () => {
    const file = path.join(folder, 'folder');
    mkdirSync(file);
    await expect(withLock(file, jest.fn())).rejects.toThrow('has the name of a lock');
    writeFileSync(path.join(folder, 'file'), '');
    const below = withLock(path.join(folder, 'file', 'lock'), jest.fn());
    await expect(below).rejects.toMatchObject({ code: 'ERR_LIBTORCH_INSTALL' });
  });
});
