import { Tensor, TokenLearner } from '../index';
import reference from './reference.json';

/** One run of the reference case. */
export interface SelfTest {
  device: string;
  engine: string;
  /** Relative L2 error against float64: the larger of the tokens' and the maps'. */
  error: number;
  /** The largest allowed error. */
  tolerance: number;
  /** Milliseconds of the first run, which includes loading and warm-up. */
  first: number;
  /** Milliseconds of the second run. */
  second: number;
}

/** The generator of test/fixtures/generate/lcg.py, which made the reference: multiples of 2^-23 in [-1, 1). */
class Lcg {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  float32(count: number, scale: number): Float32Array {
    return Float32Array.from({ length: count }, () => {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
      return ((this.#state >>> 8) * 2 ** -23 - 1) * scale;
    });
  }
}

/** |actual - exact| / |exact| */
export function relativeL2Error(actual: ArrayLike<number>, exact: readonly number[]): number {
  if (actual.length !== exact.length) return Infinity;
  let error = 0;
  let norm = 0;
  exact.forEach((value, i) => {
    error += (Number(actual[i]) - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(error / norm);
}

/**
 * Runs the embedded reference case. PyTorch computed its outputs in float64.
 *
 * @throws TokenLearnerError the errors of the device or the engine.
 */
export async function selfTest(
  device: 'cpu' | `cuda:${number}`,
  engine: 'fused' | 'grouped-conv',
): Promise<SelfTest> {
  const { dim, ffMult, numOutputTokens, height, width, tolerance } = reference;
  const hidden = numOutputTokens * ffMult * dim;
  const lcg = new Lcg(reference.seed);
  const make = (shape: number[], scale: number) =>
    Tensor.from(
      lcg.float32(
        shape.reduce((product, size) => product * size, 1),
        scale,
      ),
      shape,
    );
  const model = new TokenLearner({ dim, ffMult, numOutputTokens, engine, device: 'cpu' });
  model.loadStateDict({
    'net.0.weight': make([hidden, dim, 1, 1], 0.25),
    'net.0.bias': make([hidden], 0.25),
    'net.2.weight': make([numOutputTokens, ffMult * dim, 1, 1], 0.125),
    'net.2.bias': make([numOutputTokens], 0.125),
  });
  model.to(device);
  const x = make([1, dim, height, width], 1);
  const run = async () => {
    const started = performance.now();
    const { tokens, attention } = await model.forward(x, { returnAttention: true });
    const errors = [
      relativeL2Error(tokens.to('cpu').data, reference.tokens),
      relativeL2Error(attention.to('cpu').data, reference.attention),
    ];
    return { error: Math.max(...errors), time: performance.now() - started };
  };
  const first = await run();
  const second = await run();
  model.dispose();
  const error = Math.max(first.error, second.error);
  return { device, engine, error, tolerance, first: first.time, second: second.time };
}
