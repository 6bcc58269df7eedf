/** The machine and the commit of a measurement. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { output } from '../../scripts/tools.mjs';

const CPU = '/sys/devices/system/cpu/cpu0';
const VECTOR_FLAGS = ['avx2', 'fma', 'avx512f', 'avx512_bf16', 'amx_tile', 'asimd', 'sve'];

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

/** {cpu, cores, vectorInstructions, caches, memoryGb, system, load}; the fields that the system does not report are left out. */
export function describeMachine() {
  return {
    cpu: cpuName(),
    cores: availableParallelism(),
    vectorInstructions: vectorInstructions(),
    caches: caches(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform}-${process.arch}, kernel ${release()}`,
    load: Number(loadavg()[0].toFixed(2)),
  };
}

function cpuName() {
  const name = cpus()[0]?.model.trim() ?? 'unknown';
  const text = read('/proc/cpuinfo') ?? '';
  const field = (key) => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(text)?.[1];
  const family = field('cpu family');
  return family ? `${name} (family ${family}, model ${field('model')})` : name;
}

function vectorInstructions() {
  const flags = /^(?:flags|Features)\s*: (.*)$/m.exec(read('/proc/cpuinfo') ?? '')?.[1].split(' ') ?? [];
  return VECTOR_FLAGS.filter((flag) => flags.includes(flag));
}

/** Such as {"L1d": "32K", "L2": "1024K", "L3": "32768K"}: as one core sees them. */
function caches() {
  const found = {};
  for (let i = 0; existsSync(`${CPU}/cache/index${i}`); i++) {
    const [level, type, size] = ['level', 'type', 'size'].map((name) =>
      read(`${CPU}/cache/index${i}/${name}`),
    );
    if (type !== 'Instruction') found[`L${level}${type === 'Data' ? 'd' : ''}`] = size;
  }
  return found;
}

/** The commit that was measured, marked where files differ from it; null outside a repository. */
export function describeCommit() {
  return output('git', ['describe', '--always', '--dirty']);
}
