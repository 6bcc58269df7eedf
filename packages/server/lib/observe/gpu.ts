/** Memory and utilisation of NVIDIA GPUs, from the driver's own nvidia-smi. Without it there are no such metrics. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Gauge, type Registry } from 'prom-client';

interface Gpu {
  uuid: string;
  /** Bytes. */
  total: number;
  used: number;
  /** From 0 to 1. */
  utilisation: number;
}

const QUERY = ['--query-gpu=uuid,memory.total,memory.used,utilization.gpu', '--format=csv,noheader,nounits'];
const MIB = 1024 * 1024;
/** In milliseconds. */
const [FRESH, PATIENCE] = [5000, 2000];

/** Parses the output of nvidia-smi. */
function parseGpus(text: string): Gpu[] {
  return text.split('\n').flatMap((line) => {
    const [uuid = '', total, used, utilisation] = line.split(',').map((cell) => cell.trim());
    const numbers = [total, used, utilisation].map(Number);
    if (uuid === '' || numbers.some((value) => !Number.isFinite(value))) return [];
    const [t = 0, u = 0, percent = 0] = numbers;
    return [{ uuid, total: t * MIB, used: u * MIB, utilisation: percent / 100 }];
  });
}

/** Asks nvidia-smi at most once per {@link FRESH}. A machine without it is asked once. */
function gpuReader(): () => Promise<Gpu[]> {
  let isMissing = false;
  let time = -Infinity;
  let latest: Promise<Gpu[]> = Promise.resolve([]);
  return () => {
    if (isMissing || performance.now() - time < FRESH) return latest;
    time = performance.now();
    latest = promisify(execFile)('nvidia-smi', QUERY, { timeout: PATIENCE, env: process.env }).then(
      ({ stdout }) => parseGpus(stdout),
      (error: unknown) => {
        isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
        return [];
      },
    );
    return latest;
  };
}

const METRICS: readonly (readonly [string, string, (gpu: Gpu) => number])[] = [
  ['nv_gpu_memory_total_bytes', 'Total memory of the GPU', (gpu) => gpu.total],
  ['nv_gpu_memory_used_bytes', 'Used memory of the GPU', (gpu) => gpu.used],
  ['nv_gpu_utilization', 'Utilisation of the GPU, from 0 to 1', (gpu) => gpu.utilisation],
];

export function gpuMetrics(registers: Registry[]): void {
  const read = gpuReader();
  for (const [name, help, value] of METRICS)
    new Gauge({
      name,
      help,
      labelNames: ['gpu_uuid'],
      registers,
      async collect() {
        this.reset();
        for (const gpu of await read()) this.set({ gpu_uuid: gpu.uuid }, value(gpu));
      },
    });
}
