/** A made-up card: no such results exist. The times are in round numbers. */

interface Times {
  latencyMs: number;
  throughputMs: number;
  samples: number;
}

const times = (latencyMs: number, throughputMs: number): Times => ({ latencyMs, throughputMs, samples: 50 });

const row = (workload: string, mode: string): object => ({
  workload,
  mode,
  contenders: {
    fused: { ...times(2, 1), awaitedMs: 2.5 },
    'grouped-conv': times(8, 6),
    eager: times(8, 7),
    matmul: times(1, 0.5),
  },
  tflops: 123.4,
});

const head = {
  date: '2026-01-02T03:04:05.000Z',
  commit: 'abc',
  device: 'cuda',
  finished: true,
  checks: 3,
  failures: [] as object[],
  info: {
    version: '0.1.0',
    node: 'v20',
    libtorch: { version: '2.11.0' },
    devices: [{ device: 'cpu' }, { name: 'Made-up Card (1 GB)', computeCapability: '9.0' }],
  },
};

const versions = {
  torch: '2.11.0+cu130',
  cuda: '13.0',
  cudnn: 1,
  driver: '580.1',
  card: 'Made-up Card (1 GB)',
};
const compiled = {
  workload: 'vit-b',
  mode: 'bfloat16',
  contenders: { fused: { ...times(2, 1), awaitedMs: 2.5 }, compile: times(5, 3) },
  tflops: 99,
};

/** The reports of test/gpu/check.mjs. */
export const REPORTS = {
  parity: { ...head, parity: [] },
  faults: head,
  server: head,
  programs: head,
  bench: {
    ...head,
    bench: {
      versions,
      queue: 8,
      rows: [row('doc-1', 'float32'), row('doc-1', 'bfloat16'), row('vit-b', 'bfloat16')],
      left: [] as string[],
      host: [{ workload: 'doc-1', mode: 'float32', us: { sync: 70, copies: 27 } }],
    },
  },
  compile: { ...head, finished: false, bench: { versions, queue: 8, rows: [compiled], left: [] } },
};

const kernel = (
  workload: string,
  precision: string,
  variant: string,
  ms: number,
  tflops: number,
): object => ({
  workload,
  precision,
  variant,
  ms,
  tflops,
  chosen: true,
});

/** The times of the same run: batcher.json, serve-cuda.json and kernels.jsonl. */
export const TIMES = {
  batcher: { results: [{ case: 'cifar', 'batcher /s': 1000, 'ratio %': 95.5 }] },
  serve: {
    workloads: [
      {
        name: 'cifar',
        shape: [1, 128, 8, 8],
        contenders: {
          batcher: { closed: { throughput: 20_000.4, p99Ms: 4.04 } },
          grpc: { closed: { throughput: 5000, p99Ms: 12 } },
        },
      },
    ],
  },
  kernels: [
    kernel('doc-1', 'float32', 'small', 0.015, 9),
    kernel('vit-b', 'bfloat16', 'wgmma', 0.39, 607),
    { ...kernel('vit-b', 'bfloat16', 'mma', 0.443, 300), chosen: false },
  ],
};
