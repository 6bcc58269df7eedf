import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { openAotiPackage } from '../../../lib/aoti/package';
import { zip } from '../formats/zip';
import { archive, elf, model, records, refused, scratch, TARGET, useCache } from './support';

const { folder, write } = scratch();
const cache = path.join(folder, 'cache');
useCache(cache);
const open = (bytes: Uint8Array) => openAotiPackage(write(bytes), { target: TARGET });

describe('extract', () => {
  const files = model({
    'k.cubin': 'kernel',
    'x.wrapper.cpp': '// source',
    'x.wrapper_weights.blob': 'weights',
  });
  const extract = async (content = files) => (await open(archive(content))).extract();
  beforeEach(() => {
    rmSync(cache, { recursive: true, force: true });
  });

  it('writes the library and what it needs, for this user alone', async () => {
    const extracted = await extract();
    expect(readdirSync(extracted.folder).sort()).toEqual([
      'k.cubin',
      'x.wrapper.so',
      'x.wrapper_weights.blob',
    ]);
    expect(extracted.library).toBe(path.join(extracted.folder, 'x.wrapper.so'));
    expect(extracted.weights).toBe(path.join(extracted.folder, 'x.wrapper_weights.blob'));
    expect(statSync(extracted.folder).mode & 0o777).toBe(0o700);
    expect(statSync(extracted.library).mode & 0o777).toBe(0o600);
    expect(readFileSync(extracted.library).equals(elf())).toBe(true);
    extracted.close();
  });

  it('uses it again, also for another file of the same content, and leaves nothing else', async () => {
    const [first, second] = [await extract(), await extract()];
    expect(second.folder).toBe(first.folder);
    const other = await extract(model({ 'k.cubin': 'another kernel' }));
    expect(other.folder).not.toBe(first.folder);
    expect(readdirSync(path.join(cache, 'aoti'))).toHaveLength(2);
  });

  it('reads archives that were packed again, with compression', async () => {
    const packed = zip(records({ model: files }).map((each) => ({ ...each, deflate: true })));
    const extracted = await (await open(packed)).extract();
    expect(readFileSync(extracted.library).equals(elf())).toBe(true);
    expect(extracted.folder).toBe((await extract()).folder);
  });

  it('reads archives without checksums, as PyTorch can write them', async () => {
    const unchecked = zip(records({ model: files }).map((each) => ({ ...each, declaredChecksum: 0 })));
    expect((await (await open(unchecked)).extract()).folder).toBe((await extract()).folder);
  });

  it('refuses records that share bytes of the archive, before it writes any', async () => {
    const sound = records({ model: files });
    const bytes = sound.reduce((sum, { data }) => sum + data.byteLength, 0);
    const claims = Array.from({ length: 100 }, (_, i) => ({
      name: `p/data/aotinductor/model/${i}.cubin`,
      data: new Uint8Array(0),
      declaredSize: bytes,
      declaredCompressedSize: bytes,
      declaredChecksum: 0,
      offset: 0,
    }));
    const opened = await open(zip([...sound, ...claims]));
    await expect(opened.extract()).rejects.toThrow(/overlap/);
    expect(existsSync(path.join(cache, 'aoti'))).toBe(false);
  });

  it('is done by many at once', async () => {
    const opened = await open(archive(files));
    const folders = await Promise.all(
      Array.from({ length: 16 }, async () => (await opened.extract()).folder),
    );
    expect(new Set(folders).size).toBe(1);
    expect(readdirSync(path.join(cache, 'aoti'))).toHaveLength(1);
  });

  const changes: [string, (folder: string, library: string) => void][] = [
    [
      'a changed byte',
      (_, library) => {
        const bytes = readFileSync(library);
        bytes[200] = (bytes[200] ?? 0) ^ 1;
        writeFileSync(library, bytes);
      },
    ],
    [
      'a truncated library',
      (_, library) => {
        truncateSync(library, 10);
      },
    ],
    [
      'a library of another user',
      (_, library) => {
        // Only root may give it away; for others the case is that of its mode.
        if (process.geteuid?.() === 0) chownSync(library, 12_345, 12_345);
        else chmodSync(library, 0o622);
      },
    ],
    [
      'a library that others can write',
      (_, library) => {
        chmodSync(library, 0o622);
      },
    ],
    [
      'a folder that others can write',
      (folder) => {
        chmodSync(folder, 0o777);
      },
    ],
    [
      'a folder that others can read',
      (folder) => {
        chmodSync(folder, 0o755);
      },
    ],
    [
      'a link to another library',
      (folder, library) => {
        const other = path.join(path.dirname(folder), '..', 'other.so');
        writeFileSync(other, 'evil');
        rmSync(library);
        symlinkSync(other, library);
      },
    ],
    [
      'a link to another folder',
      (folder) => {
        const other = path.join(path.dirname(folder), '..', 'elsewhere');
        mkdirSync(other, { recursive: true });
        writeFileSync(path.join(other, 'x.wrapper.so'), 'evil');
        rmSync(folder, { recursive: true });
        symlinkSync(other, folder);
      },
    ],
    [
      'one more file',
      (folder) => {
        writeFileSync(path.join(folder, 'libc10.so'), 'evil');
      },
    ],
    [
      'one file less',
      (folder) => {
        rmSync(path.join(folder, 'k.cubin'));
      },
    ],
    [
      'a file in the place of the folder',
      (folder) => {
        rmSync(folder, { recursive: true });
        writeFileSync(folder, 'x');
      },
    ],
  ];
  it.each(changes)('does not use %s, but extracts again', async (_, change) => {
    const first = await extract();
    change(first.folder, first.library);
    const again = await extract();
    expect(again.folder).toBe(first.folder);
    expect(lstatSync(again.folder).isDirectory()).toBe(true);
    expect(statSync(again.folder).mode & 0o777).toBe(0o700);
    const library = lstatSync(again.library);
    expect([library.isFile(), library.mode & 0o777, library.uid]).toEqual([true, 0o600, process.geteuid?.()]);
    expect(readFileSync(again.library).equals(elf())).toBe(true);
    expect(readdirSync(again.folder)).toHaveLength(3);
    expect(readdirSync(path.join(cache, 'aoti'))).toHaveLength(1);
  });

  it('does not delete what a link in its place leads to', async () => {
    const { folder: place } = await extract();
    const precious = path.join(folder, 'precious');
    mkdirSync(precious, { recursive: true });
    writeFileSync(path.join(precious, 'file'), 'x');
    rmSync(place, { recursive: true });
    symlinkSync(precious, place);
    await extract();
    expect(existsSync(path.join(precious, 'file'))).toBe(true);
  });

  it.each(['.', 'aoti'])('refuses a cache that others can write: %s', async (which) => {
    await extract();
    chmodSync(path.join(cache, which), 0o777);
    await expect(extract()).rejects.toEqual(
      refused(/others can write to .* TOKENLEARNER_CACHE/, 'ERR_UNTRUSTED_CODE'),
    );
  });

  it('names the cache if it cannot be written', async () => {
    writeFileSync(path.join(folder, 'file'), 'x');
    process.env.TOKENLEARNER_CACHE = path.join(folder, 'file', 'cache');
    await expect(extract()).rejects.toEqual(refused(/TOKENLEARNER_CACHE/, 'ERR_FILE_IO'));
  });

  it('deletes what was left half written long ago', async () => {
    const { folder: place } = await extract();
    const [old, fresh] = [
      `${place}~aaaaaaaa-0000-4000-8000-aaaaaaaaaaaa`,
      `${place}~bbbbbbbb-0000-4000-8000-bbbbbbbbbbbb`,
    ];
    mkdirSync(old);
    mkdirSync(fresh);
    utimesSync(old, 1, 1);
    await extract(model({ 'k.cubin': 'more' }));
    expect([existsSync(old), existsSync(fresh)]).toEqual([false, true]);
  });

  it('refuses a file that changed after it was opened', async () => {
    const file = write(archive(files));
    const opened = await openAotiPackage(file, { target: TARGET });
    writeFileSync(file, archive(model()));
    await expect(opened.extract()).rejects.toEqual(refused(/changed after it was opened/));
  });

  it('does not follow weights that expand', async () => {
    const bomb = {
      name: 'p/data/aotinductor/model/x.wrapper_weights.blob',
      data: Buffer.alloc(2 ** 27),
      deflate: true,
    };
    const opened = await open(zip([...records(), bomb]));
    await expect(opened.extract()).rejects.toEqual(refused(/expands to over/, 'ERR_FILE_FORMAT'));
    expect(existsSync(path.join(cache, 'aoti'))).toBe(false);
  });
});
