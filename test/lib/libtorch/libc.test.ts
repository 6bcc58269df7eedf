import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isMusl, readInterpreter } from '../../../lib/libtorch/libc';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-libc-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A file with an ELF header, and one program header per type. The header of type 3 names `loader`. */
function elf(types: number[], loader: string): string {
  const head = Buffer.alloc(1024);
  head.write('\x7fELF\x02\x01', 'latin1');
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(types.length, 56);
  types.forEach((type, i) => {
    head.writeUInt32LE(type, 64 + i * 56);
    head.writeBigUInt64LE(512n, 64 + i * 56 + 8);
    head.writeBigUInt64LE(BigInt(loader.length + 1), 64 + i * 56 + 32);
  });
  head.write(loader, 512, 'latin1');
  const file = path.join(folder, 'elf');
  writeFileSync(file, head);
  return file;
}

it('reads the dynamic loader that an ELF file names', () => {
  expect(readInterpreter(elf([1, 6, 3], '/lib/ld-musl-x86_64.so.1'))).toBe('/lib/ld-musl-x86_64.so.1');
});

it('a file that names none, another file, and no file give null', () => {
  expect(readInterpreter(elf([1, 6], '/lib/ld-musl-x86_64.so.1'))).toBeNull();
  expect(readInterpreter(__filename)).toBeNull();
  expect(readInterpreter(path.join(folder, 'none'))).toBeNull();
});

(process.platform === 'linux' ? it : it.skip)('agrees with the running Node', () => {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  expect(isMusl()).toBe(header.glibcVersionRuntime === undefined);
});
