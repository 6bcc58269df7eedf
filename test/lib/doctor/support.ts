import type { Machine } from '../../../lib/doctor/machine';

/** A healthy machine without a GPU. */
export function machine(more: Partial<Machine> = {}): Machine {
  return {
    node: '22.12.0',
    platform: 'linux',
    arch: 'x64',
    glibc: '2.36',
    cpu: { model: 'CPU', cores: 8, flags: ['avx2', 'fma'] },
    memory: { total: 16e9, free: 8e9, limit: null },
    nvidiaDriver: null,
    nvidiaGpus: 0,
    ...more,
  };
}
