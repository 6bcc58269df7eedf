/** Reads what a shared library needs, from an ELF file that nobody has checked. Every position is checked before it is read. */
import type { ByteSource } from '../formats/byte-source';
import { type Fail, quote } from '../formats/format-error';

/** What the dynamic loader will look for. */
export interface ElfLibrary {
  /** The number of its machine: see {@link MACHINES}. */
  machine: number;
  /** The names of the libraries that it needs. */
  needed: string[];
  /** The names of the symbols that others must have. */
  undefined: string[];
}

/** ELF's numbers of machines, by the names of Node. */
export const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const DYNAMIC_BYTES = 16;
const SYMBOL_BYTES = 24;
const SHARED_OBJECT = 3;
/** Types of program headers. */
const PT = { load: 1, dynamic: 2 };
/** Tags of the dynamic section. */
const DT = { needed: 1, hash: 4, strtab: 5, symtab: 6, strsz: 10, gnuHash: 0x6ffffef5 };
const WEAK = 2;
/** Sanity limits, far above any library that a compiler writes. */
const MAX_PROGRAM_HEADERS = 256;
const MAX_DYNAMIC = 4096;
const MAX_SYMBOLS = 2 ** 20;
const MAX_STRINGS = 2 ** 26;

interface Segment {
  address: number;
  offset: number;
  size: number;
}

/** Reads parts of the file, as numbers that are safe to compute with. */
class Reader {
  readonly #source: ByteSource;
  readonly fail: Fail;

  constructor(source: ByteSource, fail: Fail) {
    this.#source = source;
    this.fail = (what) => fail(`the library is malformed: ${what}`);
  }

  async bytes(what: string, offset: number, length: number): Promise<Buffer> {
    if (!Number.isSafeInteger(offset) || offset + length > this.#source.size)
      throw this.fail(`${what} lies outside of its ${this.#source.size} bytes`);
    const part = Buffer.alloc(length);
    await this.#source.read(part, offset);
    return part;
  }
}

/** A number of 64 bits; NaN, which no check of bounds passes, if it is over 2^53. */
function wide(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : NaN;
}

/** The position in the file of an address in memory. */
function positionOf(segments: readonly Segment[], address: number, what: string, fail: Fail): number {
  const found = segments.find((each) => address >= each.address && address < each.address + each.size);
  if (found === undefined) throw fail(`the address of ${what} lies in no segment`);
  return found.offset + (address - found.address);
}

async function readSegments(reader: Reader, header: Buffer): Promise<{ loads: Segment[]; dynamic: Segment }> {
  const [offset, size, count] = [wide(header, 32), header.readUInt16LE(54), header.readUInt16LE(56)];
  if (size !== PROGRAM_HEADER_BYTES || count > MAX_PROGRAM_HEADERS)
    throw reader.fail(`${count} program headers of ${size} bytes`);
  const table = await reader.bytes('the table of program headers', offset, size * count);
  const loads: Segment[] = [];
  let dynamic: Segment | undefined;
  for (let at = 0; at < table.length; at += size) {
    const segment = {
      offset: wide(table, at + 8),
      address: wide(table, at + 16),
      size: wide(table, at + 32),
    };
    const type = table.readUInt32LE(at);
    if (type === PT.load) loads.push(segment);
    if (type === PT.dynamic) dynamic = segment;
  }
  if (dynamic === undefined) throw reader.fail('it has no dynamic section');
  return { loads, dynamic };
}

/** The entries of the dynamic section up to its end, in order. */
async function readDynamic(
  reader: Reader,
  { offset, size }: Segment,
): Promise<[tag: number, value: number][]> {
  const count = Math.floor(size / DYNAMIC_BYTES);
  if (!(count <= MAX_DYNAMIC)) throw reader.fail(`a dynamic section of ${size} bytes`);
  const table = await reader.bytes('the dynamic section', offset, count * DYNAMIC_BYTES);
  const entries: [number, number][] = [];
  for (let at = 0; at < table.length; at += DYNAMIC_BYTES) {
    const tag = wide(table, at);
    if (tag === 0) break;
    entries.push([tag, wide(table, at + 8)]);
  }
  return entries;
}

/** The number of symbols that are looked for elsewhere or listed before those: GNU's hash table holds those that are defined here alone. */
async function countSymbols(
  reader: Reader,
  positions: { gnuHash: number | undefined; hash: number | undefined },
): Promise<number> {
  const { gnuHash, hash } = positions;
  const at = gnuHash ?? hash;
  if (at === undefined) throw reader.fail('it has no table of symbols');
  const count = (await reader.bytes('the hash table', at, 8)).readUInt32LE(4);
  if (count > MAX_SYMBOLS) throw reader.fail(`${count} symbols`);
  return count;
}

function nameAt(strings: Buffer, at: number, fail: Fail): string {
  const end = at < strings.length ? strings.indexOf(0, at) : -1;
  if (end < 0) throw fail('a name lies outside of the table of names');
  return strings.toString('latin1', at, end);
}

/**
 * Reads the header, the dynamic section and the symbols of a shared library.
 *
 * @throws errors of `fail` if it is not a 64-bit little-endian shared library, or malformed.
 */
export async function readElf(source: ByteSource, fail: Fail): Promise<ElfLibrary> {
  const reader = new Reader(source, fail);
  if (source.size < HEADER_BYTES) throw fail('the library is too short for an ELF file');
  const header = await reader.bytes('the header', 0, HEADER_BYTES);
  const start = header.toString('latin1', 0, 6);
  if (!start.startsWith('\x7fELF'))
    throw fail(`the library is not an ELF file: it begins with ${quote(start)}`);
  if (start !== '\x7fELF\x02\x01') throw fail('the library is not a 64-bit little-endian ELF file');
  if (header.readUInt16LE(16) !== SHARED_OBJECT) throw fail('the library is an ELF file of another type');
  const { loads, dynamic } = await readSegments(reader, header);
  const entries = await readDynamic(reader, dynamic);
  const find = (tag: number) => entries.find(([each]) => each === tag)?.[1];
  const demand = (tag: number, what: string): number => {
    const value = find(tag);
    if (value === undefined) throw reader.fail(`it does not tell ${what}`);
    return value;
  };
  const locate = (address: number | undefined, what: string) =>
    address === undefined ? undefined : positionOf(loads, address, what, reader.fail);
  const length = demand(DT.strsz, 'the size of its names');
  if (!(length <= MAX_STRINGS)) throw reader.fail(`${length} bytes of names`);
  const names = positionOf(loads, demand(DT.strtab, 'where its names are'), 'the names', reader.fail);
  const strings = await reader.bytes('the table of names', names, length);
  const needed = entries
    .filter(([tag]) => tag === DT.needed)
    .map(([, at]) => nameAt(strings, at, reader.fail));
  const count = await countSymbols(reader, {
    gnuHash: locate(find(DT.gnuHash), 'the hash table'),
    hash: locate(find(DT.hash), 'the hash table'),
  });
  const first = positionOf(loads, demand(DT.symtab, 'where its symbols are'), 'the symbols', reader.fail);
  const symbols = await reader.bytes('the table of symbols', first, count * SYMBOL_BYTES);
  return {
    machine: header.readUInt16LE(18),
    needed,
    undefined: undefinedNames(symbols, strings, reader.fail),
  };
}

/** Those that must be found: weak ones need not be. */
function undefinedNames(symbols: Buffer, strings: Buffer, fail: Fail): string[] {
  const names: string[] = [];
  for (let at = SYMBOL_BYTES; at < symbols.length; at += SYMBOL_BYTES) {
    const isDefined = symbols.readUInt16LE(at + 6) !== 0;
    const binding = symbols.readUInt8(at + 4) >> 4;
    if (!isDefined && binding !== WEAK) names.push(nameAt(strings, symbols.readUInt32LE(at), fail));
  }
  return names;
}
