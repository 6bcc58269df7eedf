import { isOlder } from '../libtorch/version';
import requirements from '../requirements.json';
import { failed, fine, type Finding, warning } from './finding';
import type { Machine } from './machine';

/** undici, which downloads libtorch, and crc32 of node:zlib need this version. */
const OLDEST_NODE = requirements.node;
/** Node's own binaries, libtorch's wheels and the prebuilt addon need this version. */
const OLDEST_GLIBC = requirements.glibc;
/** In bytes. libtorch alone maps about half of it. */
const LITTLE_MEMORY = 1e9;

/** The checks that need no native code. */
export function checkMachine(machine: Machine): Finding[] {
  return [
    checkNode(machine),
    checkPlatform(machine),
    checkCpu(machine),
    checkMemory(machine),
    checkDriver(machine),
  ];
}

function checkNode({ node }: Machine): Finding {
  if (!isOlder(node, OLDEST_NODE)) return fine('Node', node);
  return failed(
    'Node',
    `${node}, and ${OLDEST_NODE} or later is required`,
    `Install Node ${OLDEST_NODE} or later.`,
  );
}

function checkPlatform({ platform, arch, glibc }: Machine): Finding {
  const name = `${platform}-${arch}`;
  if (platform !== 'linux') {
    if (name === 'darwin-arm64' || name === 'win32-x64') {
      return warning('platform', `${name}, whose build has never been run`, 'Build it from source.');
    }
    return failed('platform', `${name}, which has no build`, 'Use Linux on x64 or arm64.');
  }
  if (arch !== 'x64' && arch !== 'arm64')
    return failed('platform', `${name}, which has no build`, 'Use Linux on x64 or arm64.');
  if (glibc === null) {
    return warning(
      'platform',
      `${name} with musl, for which there is no libtorch`,
      'Where something needs libtorch, use a distribution with glibc, such as Debian.',
    );
  }
  const value = `${name}, glibc ${glibc}`;
  if (isOlder(glibc, OLDEST_GLIBC)) {
    const remedy = `Use a distribution with glibc ${OLDEST_GLIBC} or later (Debian 10, Ubuntu 20.04, RHEL 8).`;
    return failed('platform', `${value}, and ${OLDEST_GLIBC} or later is required`, remedy);
  }
  if (arch === 'x64') return fine('platform', value);
  return fine('platform', `${value}, which is tested in an emulator only`);
}

function checkCpu({ arch, cpu }: Machine): Finding {
  const features = ['avx2', 'fma', 'avx512f', 'avx512_bf16', 'amx_tile', 'asimd'].filter((flag) =>
    cpu.flags.includes(flag),
  );
  const value = `${cpu.model}, ${cpu.cores} threads, ${features.join(' ') || 'no vector extensions known'}`;
  const isSlow =
    arch === 'x64' && cpu.flags.length > 0 && !(features.includes('avx2') && features.includes('fma'));
  if (!isSlow) return fine('CPU', value);
  return warning(
    'CPU',
    `${value}: without AVX2 and FMA it computes several times slower`,
    'Use a CPU of 2013 or later; in a virtual machine pass the host CPU through.',
  );
}

function checkMemory({ memory }: Machine): Finding {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const { free } = memory;
  const limit = memory.limit === null ? '' : `, limited to ${gigabytes(memory.limit)}`;
  const value = `${gigabytes(free)} free of ${gigabytes(memory.total)}${limit}`;
  if (free >= LITTLE_MEMORY) return fine('memory', value);
  return warning('memory', value, 'Free or grant at least 1 GB: libtorch alone maps half of it.');
}

function checkDriver({ nvidiaDriver, nvidiaGpus }: Machine): Finding {
  if (nvidiaDriver !== null) return fine('NVIDIA driver', nvidiaDriver);
  if (nvidiaGpus === 0) return fine('NVIDIA driver', 'none, and no NVIDIA GPU');
  return warning(
    'NVIDIA driver',
    `none, though there are ${nvidiaGpus} NVIDIA GPUs`,
    `Install the NVIDIA driver (${requirements.nvidiaDriver.cuda12} or later); in a container, start it with the GPUs passed through.`,
  );
}
