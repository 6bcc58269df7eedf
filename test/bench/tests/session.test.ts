import { evaluate, moduleUrl } from './evaluate';

interface Measured {
  medianMs: number;
  minMs: number;
  samples: number;
  error: number;
}

/** A whole small workload through our own contenders of a list: data, processes, protocol, agreement, interleaved timing. */
function measureOurs(list: 'CONTENDERS' | 'NARROW_CONTENDERS'): Record<string, Measured> {
  return evaluate(
    'session',
    `await (async () => {
      const { ${list}: contenders, isOurs } = await import('${moduleUrl('contenders')}');
      const { WORKLOADS } = await import('${moduleUrl('workloads')}');
      const session = new it.Session({ onnxruntime: null, python: null }, 1);
      const workload = WORKLOADS.find(({ name }) => name === 'zeta-test');
      return session.measure(workload, contenders.filter(isOurs), { seconds: 0, minimumRounds: 2, maximumRounds: 2 });
    })()`,
  ) as Record<string, Measured>;
}

describe('Session', () => {
  it('measures our engines without any peer', () => {
    const results = measureOurs('CONTENDERS');
    expect(Object.keys(results)).toEqual(['fused', 'grouped-conv']);
    for (const { medianMs, minMs, samples, error } of Object.values(results)) {
      expect(minMs).toBeGreaterThan(0);
      expect(medianMs).toBeGreaterThanOrEqual(minMs);
      expect(samples).toBeGreaterThanOrEqual(2);
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(1e-5);
    }
  });

  it.each([1e-5, 1, Number.NaN, null])('refuses a contender with the error %p', (error) => {
    const text = `it.checkNumbers({ id: 'x', form: 'repeated' }, { name: 'doc-1' }, ${String(error)})`;
    expect(() => evaluate('session', `${text} ?? null`)).toThrow('x is wrong on doc-1');
  });

  it('measures bfloat16, whose error is larger, within its own tolerance', () => {
    const { 'fused-bfloat16': measured } = measureOurs('NARROW_CONTENDERS');
    expect(measured?.error).toBeGreaterThan(1e-4);
    expect(measured?.error).toBeLessThan(1e-2);
    const check =
      "it.checkNumbers({ id: 'x', form: 'unrepeated', tolerance: 0.1 }, { name: 'doc-1' }, 0.2) ?? null";
    expect(() => evaluate('session', check)).toThrow('expected below 0.1');
  });

  it('accepts right numbers, and the bare product, which has none', () => {
    const checks = [
      "it.checkNumbers({ id: 'x', form: 'repeated' }, { name: 'doc-1' }, 9e-6)",
      "it.checkNumbers({ id: 'matmul', form: 'product' }, { name: 'doc-1' }, null)",
    ];
    expect(evaluate('session', `[${checks.join(', ')}].length`)).toBe(2);
  });
});
