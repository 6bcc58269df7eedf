/**
 * Checks a prebuilt addon for Linux: that it needs nothing unusual of the system, and names no folder of the machine it was built on.
 *
 *     node scripts/check-binary.mjs FILE...
 */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { compareVersions, isMain, main, output, readRequirements, root, say, SetupError } from './tools.mjs';

/** The oldest glibc that the addon loads on: the one that Node's own binaries and libtorch's wheels need. */
const GLIBC_FLOOR = readRequirements().glibc;

/** Libraries of every system with glibc and Node, or with musl and Node: libc.so is musl itself, whatever its file is called. */
const SYSTEM_LIBRARIES =
  /^(?:lib(?:c|m|dl|rt|pthread)\.so\.\d|libgcc_s\.so\.1|ld-linux-[\w-]+\.so\.\d|libc\.musl-\w+\.so\.1|libc\.so)$/;

/** The symbols that Node looks up. */
const ENTRY_POINTS = new Set(['napi_register_module_v1', 'node_api_module_get_api_version_v1']);

/** readelf's names of the processors, by Node's. */
const MACHINES = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' };

/** The complaints about a binary for a processor, the glibc it needs, and its size in bytes. */
export function checkBinary(file, arch = process.arch) {
  const header = demand(file, ['-h', '-d', '-S', '-l', '-W']);
  const symbols = parseSymbols(demand(file, ['--dyn-syms', '-W']));
  const glibc = newest(symbols.map(({ version }) => /^GLIBC_([\d.]+)$/.exec(version)?.[1]).filter(Boolean));
  const complaints = [
    ...checkVersions(symbols),
    ...checkNames(symbols, /\[libc\.(?:musl-|so\])/.test(header)),
    ...checkHeader(header, arch),
    ...checkTexts(readFileSync(file)),
  ];
  return { complaints, glibc, size: statSync(file).size };
}

/** The shared libraries that a program or library needs and that not every system with glibc and Node has. */
export function foreignLibraries(file) {
  return foreignNames(demand(file, ['-d', '-W']));
}

function foreignNames(header) {
  const names = [...header.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library);
  return names.filter((library) => !SYSTEM_LIBRARIES.test(library));
}

function demand(file, args) {
  const text = output('readelf', [...args, file]);
  if (text === null) throw new SetupError(`readelf cannot read ${file}`);
  return text;
}

/** Global dynamic symbols: {name, version ('' without one), defined, weak}. On arm64 the table has local ones for sections too. */
export function parseSymbols(text) {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*\d+:\s+\S+\s+\d+\s+\S+\s+(\S+)\s+\S+\s+(\S+)\s+([^\s@]+)(?:@+(\S+))?/.exec(line);
    if (found === null) return [];
    const [, binding, section, name, version = ''] = found;
    if (binding === 'LOCAL') return [];
    return [{ name, version, defined: section !== 'UND', weak: binding === 'WEAK' }];
  });
}

function newest(versions) {
  return versions.sort(compareVersions).at(-1) ?? null;
}

function checkVersions(symbols) {
  return symbols.flatMap(({ name, version }) => {
    const glibc = /^GLIBC_([\d.]+)$/.exec(version)?.[1];
    if (glibc !== undefined && compareVersions(glibc, GLIBC_FLOOR) > 0)
      return [`${name} needs glibc ${glibc}`];
    if (/^(?:GLIBCXX|CXXABI)_/.test(version)) return [`${name} needs a libstdc++ of the system (${version})`];
    return [];
  });
}

/** The symbols of musl have no versions, so there an undefined name says nothing. */
function checkNames(symbols, isMusl) {
  return symbols.flatMap(({ name, version, defined, weak }) => {
    if (defined) return ENTRY_POINTS.has(name) || version === name ? [] : [`exports ${name}`];
    const isKnown = isMusl || weak || version !== '' || /^(?:napi|node_api)_/.test(name);
    return isKnown ? [] : [`${name} comes from no known library`];
  });
}

function checkHeader(header, arch) {
  const complaints = foreignNames(header).map((library) => `needs ${library}`);
  const machine = /^\s*Machine:\s+(.*)$/m.exec(header)?.[1];
  if (machine !== MACHINES[arch]) complaints.push(`is for ${machine}, not for ${arch}`);
  const paths = [...header.matchAll(/\((?:RUNPATH|RPATH)\).*\[(.*)\]/g)].map(([, value]) => value);
  if (paths.some((value) => value !== '$ORIGIN')) complaints.push(`has the run path ${paths.join(', ')}`);
  if (/\s\.(?:symtab|debug_\w+)\s/.test(header)) complaints.push('is not stripped');
  if (/GNU_STACK.*RWE/.test(header)) complaints.push('has an executable stack');
  return complaints;
}

function checkTexts(content) {
  const folders = [root, homedir(), path.dirname(process.execPath)].filter((folder) => folder.length > 4);
  return folders
    .filter((folder) => content.includes(`${folder}${path.sep}`))
    .map((folder) => `names the folder ${folder}`);
}

/** The processor that the folder of a file names, as in prebuilds/linux-arm64; this machine's where it names none. */
function archOf(file) {
  const arch = path.basename(path.dirname(path.resolve(file))).split('-')[1];
  return arch in MACHINES ? arch : process.arch;
}

function needs(glibc) {
  return glibc === null ? 'no glibc' : `glibc ${glibc} (floor ${GLIBC_FLOOR})`;
}

/** Throws when a binary is not fit to ship. */
export function demandFit(files) {
  if (process.platform !== 'linux') {
    say('Skipped the check of the binary: it reads ELF files, on Linux.');
    return;
  }
  let failed = 0;
  for (const file of files) {
    const { complaints, glibc, size } = checkBinary(file, archOf(file));
    for (const complaint of complaints) say(`${file}: ${complaint}`);
    if (complaints.length > 0) failed++;
    else say(`${file}: ${(size / 1e6).toFixed(2)} MB, ${needs(glibc)}`);
  }
  if (failed > 0) throw new SetupError(`${failed} of ${files.length} binaries are not fit to ship`);
}

if (isMain(import.meta.url)) {
  await main(() => {
    const files = process.argv.slice(2);
    if (files.length === 0) throw new SetupError('Expected one or more files');
    demandFit(files);
  });
}
