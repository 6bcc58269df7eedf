interface Measured {
  medianMs: number;
  minMs: number;
  samples: number;
  peakMb: number;
  baseMb: number;
  error: number | null;
  details: object;
}

const measured = (medianMs: number): Measured => ({
  medianMs,
  minMs: medianMs * 0.9,
  samples: 10,
  peakMb: 200,
  baseMb: 180,
  error: 1e-7,
  details: {},
});

/** Results as scripts/bench.mjs collects them: doc-1 at 64 channels, doc-2 at 128; times are in round numbers. */
export const SAMPLE = {
  date: '2026-01-02T03:04:05.000Z',
  commit: 'abc',
  quick: false,
  threads: 2,
  machine: {
    cpu: 'Some <CPU> & more',
    cores: 2,
    vectorInstructions: ['avx2'],
    caches: { L1d: '32K' },
    memoryGb: 24,
    system: 'linux-x64',
    load: 0.1,
  },
  versions: { node: 'v20' },
  overhead: { smallest_us: 12, handover_us: 60, engine_us: 400 },
  workloads: [
    {
      name: 'doc-1',
      from: 'somewhere',
      dim: 64,
      ffMult: 2,
      numOutputTokens: 8,
      shape: [1, 64, 32, 32],
      gflop: 0.13,
      contenders: {
        fused: measured(2),
        eager: measured(8),
        'ort-node': measured(4),
        'ort-node-rewrite': measured(3),
        matmul: measured(1),
      },
    },
    {
      name: 'doc-2',
      from: 'elsewhere',
      dim: 128,
      ffMult: 4,
      numOutputTokens: 16,
      shape: [2, 128, 64, 64],
      gflop: 17.2,
      contenders: {
        fused: measured(100),
        eager: measured(900),
        'ort-node': measured(200),
        'ort-node-rewrite': measured(90),
        matmul: measured(100),
      },
    },
  ],
};
