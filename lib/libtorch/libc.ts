import { closeSync, openSync, readSync } from 'node:fs';
import { once } from '../once';

/** The version of the running glibc, such as '2.36'; null on musl and on other systems without glibc. Takes some 15 ms. */
export function glibcVersion(): string | null {
  if (process.platform !== 'linux') return null;
  // Without this the report resolves the names of all network peers.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime ?? null;
}

/** True if Node runs on musl. */
export const isMusl = once(() => {
  if (process.platform !== 'linux') return false;
  const interpreter = readInterpreter(process.execPath);
  return interpreter === null ? glibcVersion() === null : interpreter.includes('musl');
});

/** The platform that a native library must have been built for, such as 'linux-x64 (musl)'. */
export function platformName(): string {
  return `${process.platform}-${process.arch}${isMusl() ? ' (musl)' : ''}`;
}

/** The ELF header of a 64-bit file, its program headers and the dynamic loader's path lie in its first bytes. */
const HEAD_BYTES = 2048;
const ELF64_LITTLE_ENDIAN = '\x7fELF\x02\x01';
/** The type of the program header with the dynamic loader's path. */
const PT_INTERP = 3;

/** The path of the dynamic loader that an ELF file names; null if it names none, or cannot be read. */
export function readInterpreter(file: string): string | null {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    const descriptor = openSync(file, 'r');
    try {
      readSync(descriptor, head, 0, HEAD_BYTES, 0);
    } finally {
      closeSync(descriptor);
    }
    if (head.toString('latin1', 0, ELF64_LITTLE_ENDIAN.length) !== ELF64_LITTLE_ENDIAN) return null;
    const first = Number(head.readBigUInt64LE(32));
    const size = head.readUInt16LE(54);
    const count = head.readUInt16LE(56);
    for (let i = 0; i < count; i += 1) {
      const header = first + i * size;
      if (head.readUInt32LE(header) !== PT_INTERP) continue;
      const start = Number(head.readBigUInt64LE(header + 8));
      const length = Number(head.readBigUInt64LE(header + 32));
      // Without the zero at its end.
      return start + length > HEAD_BYTES ? null : head.toString('latin1', start, start + length - 1);
    }
    return null;
  } catch {
    // Not readable (Node's permission model), or not an ELF file of this form.
    return null;
  }
}
