import { readdirSync, readFileSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import path from 'node:path';
import { parseCpuFlags } from '../cpu-flags';
import { glibcVersion } from '../libtorch/libc';

/** The properties of a machine that are known without native code. */
export interface Machine {
  /** '20.18.1' */
  node: string;
  platform: NodeJS.Platform;
  arch: string;
  /** '2.36'; null on musl and on other systems without glibc. */
  glibc: string | null;
  cpu: { model: string; cores: number; flags: string[] };
  /** Bytes. `free` is what this process can still get; `limit` is the container's, null if there is none. */
  memory: { total: number; free: number; limit: number | null };
  /** The version of NVIDIA's kernel module; null if it is not loaded. */
  nvidiaDriver: string | null;
  /** NVIDIA GPUs on the PCI bus, with or without a driver. */
  nvidiaGpus: number;
}

/** Describes the running machine. Reads system files; starts no processes. */
export function thisMachine(): Machine {
  const processors = cpus();
  return {
    node: process.versions.node,
    platform: process.platform,
    arch: process.arch,
    glibc: glibcVersion(),
    cpu: { model: processors[0]?.model.trim() ?? 'unknown', cores: processors.length, flags: cpuFlags() },
    memory: { total: totalmem(), free: availableMemory(), limit: memoryLimit() },
    nvidiaDriver: parseDriverVersion(read('/proc/driver/nvidia/version')),
    nvidiaGpus: countNvidiaGpus('/sys/bus/pci/devices'),
  };
}

function cpuFlags(): string[] {
  return parseCpuFlags(read('/proc/cpuinfo'));
}

export function parseDriverVersion(text: string): string | null {
  return /Kernel Module.*?\s(\d+(?:\.\d+)+)/.exec(text)?.[1] ?? null;
}

/**
 * Bytes that this process can still get: of the machine's memory, and of what a container's limit leaves. Caches of files, which the kernel gives
 * back, count as free.
 *
 * @param meminfo - /proc/meminfo; without it, free memory counts
 * @param left - what the limit leaves besides the caches; null without a limit
 * @param stat - the memory.stat of the control group
 */
export function availableBytes(meminfo: string, left: number | null, stat: string): number {
  const kibibytes = /^MemAvailable:\s*(\d+) kB/m.exec(meminfo)?.[1];
  const machine = kibibytes === undefined ? freemem() : Number(kibibytes) * 1024;
  if (left === null) return machine;
  const cache = Number(/^inactive_file (\d+)$/m.exec(stat)?.[1] ?? 0);
  return Math.min(machine, left + cache);
}

function availableMemory(): number {
  const limit = memoryLimit();
  // Node 20.13 has it; an older one is told to be too old.
  const { availableMemory: left } = process as Partial<typeof process>;
  const free = limit === null ? null : (left?.call(process) ?? limit);
  return Math.min(availableBytes(read('/proc/meminfo'), free, groupStatistics()), limit ?? Infinity);
}

/** The memory.stat of this process's control group, version 2 or 1; '' if it is not to be seen. */
function groupStatistics(): string {
  const groups = read('/proc/self/cgroup');
  const [, unified = ''] = /^0::(.*)$/m.exec(groups) ?? [];
  const [, memory = ''] = /^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.*)$/m.exec(groups) ?? [];
  const [root, file] = ['/sys/fs/cgroup', 'memory.stat'];
  return read(path.join(root, unified, file)) || read(path.join(root, 'memory', memory, file));
}

function memoryLimit(): number | null {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : null;
}

/** Counts display and 3D controllers (PCI class 3) of vendor 10de. */
export function countNvidiaGpus(folder: string): number {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return 0;
  }
  return names.filter(
    (name) =>
      read(path.join(folder, name, 'vendor')).trim() === '0x10de' &&
      read(path.join(folder, name, 'class')).startsWith('0x03'),
  ).length;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
