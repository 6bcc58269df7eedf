import reference from '../../../lib/doctor/reference.json';
import { relativeL2Error, selfTest } from '../../../lib/doctor/self-test';

describe('relativeL2Error', () => {
  it('is relative, and infinite for another number of elements', () => {
    expect(relativeL2Error([3, 4], [3, 4])).toBe(0);
    expect(relativeL2Error([3, 5], [3, 4])).toBeCloseTo(0.2, 12);
    expect(relativeL2Error([3], [3, 4])).toBe(Infinity);
    expect(relativeL2Error([NaN, 4], [3, 4])).toBeNaN();
  });
});

describe('selfTest', () => {
  it.each(['fused', 'grouped-conv'] as const)('%s: within the rule on the CPU', async (engine) => {
    const { error, tolerance } = await selfTest('cpu', engine);
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThanOrEqual(tolerance);
  });

  it('would notice a wrong number', () => {
    const wrong = [...reference.tokens];
    wrong[0] = (wrong[0] ?? 0) + 1e-5;
    expect(relativeL2Error(wrong, reference.tokens)).toBeGreaterThan(reference.tolerance);
  });
});
