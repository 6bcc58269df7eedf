import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deleteStagedOnSignal } from '../../../lib/cli/staged-on-signal';
import { writeFileAtomic } from '../../../lib/formats/file-write';
import { observeStaged } from '../../../lib/formats/staged-files';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-staged-'));
const target = path.join(folder, 'x.bin');
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
let kill: jest.SpyInstance;
beforeEach(() => {
  kill = jest.spyOn(process, 'kill').mockReturnValue(true);
  deleteStagedOnSignal();
});
afterEach(() => {
  observeStaged(undefined);
  jest.restoreAllMocks();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Writes a file, and calls `halfway` in the middle of it. */
async function write(halfway: () => void): Promise<void> {
  await writeFileAtomic(target, {
    byteLength: 2,
    *chunks() {
      yield Uint8Array.of(1);
      halfway();
      yield Uint8Array.of(2);
    },
  });
}

it.each(SIGNALS)('%s deletes the temporary file, and then ends the process', async (signal) => {
  const before = process.listenerCount(signal);
  let found: string[][] = [];
  const writing = write(() => {
    const there = readdirSync(folder);
    process.emit(signal, signal);
    found = [there, readdirSync(folder)];
  });
  await expect(writing).rejects.toMatchObject({ code: 'ERR_FILE_IO' });
  expect(found).toEqual([[expect.stringMatching(/^\.tokenlearner-.*\.tmp$/)], []]);
  expect(kill.mock.calls).toEqual([[process.pid, signal]]);
  expect([process.listenerCount(signal), existsSync(target)]).toEqual([before, false]);
});

it.each(SIGNALS)('%s is left to others who listen, also if they stop at once', async (signal) => {
  const other = jest.fn();
  process.once(signal, other);
  await write(() => process.emit(signal, signal));
  expect([other.mock.calls.length, kill.mock.calls.length, readdirSync(folder)]).toEqual([1, 0, ['x.bin']]);
  rmSync(target);
});

it('nothing listens once the files are there, or have failed', async () => {
  const count = (): number[] => SIGNALS.map((signal) => process.listenerCount(signal));
  const before = count();
  let during: number[] = [];
  await write(() => (during = count()));
  await write(() => {
    throw new Error('failed');
  }).catch(() => undefined);
  expect([during, count()]).toEqual([before.map((each) => each + 1), before]);
});
