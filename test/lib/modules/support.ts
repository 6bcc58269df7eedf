import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Linear, Module, type RequestOptions, Tensor } from '../../../lib';

export const x = (value = 1): Tensor => Tensor.full([2], value);
export const values = (tensor: Tensor): number[] => [...tensor.data];

/** Collects what earlier tests left, so that nothing of it is freed while a test that awaits something counts. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    // Finalizers run in turns of the event loop.
    await delay(5);
  }
}

/** Adds a number to its input; keeps the options of its calls. */
export class Add extends Module {
  readonly calls: (RequestOptions | undefined)[] = [];

  constructor(readonly number: number) {
    super();
  }

  override forward(input: Tensor, ...rest: [RequestOptions?]): Promise<Tensor> {
    this.calls.push(rest[0]);
    expect(rest.length).toBe(rest[0] === undefined ? 0 : 1);
    return Promise.resolve(this.forwardSync(input));
  }

  override forwardSync(input: Tensor): Tensor {
    return Tensor.from(input.data.map((value) => value + this.number));
  }

  override outputShape(shape: readonly number[]): number[] {
    return [...shape];
  }
}

/** A module with a given forward only. */
export function own(forward: (input: Tensor, options?: RequestOptions) => unknown): Module {
  return new (class Own extends Module {
    override forward(input: Tensor, options?: RequestOptions): Promise<unknown> {
      return forward(input, options) as Promise<unknown>;
    }
  })();
}

/** Multiplies by a number. */
export function times(factor: number): Linear {
  const linear = new Linear(2, 2, { bias: false, device: 'cpu' });
  linear.loadStateDict({ weight: Tensor.from([factor, 0, 0, factor], [2, 2]) });
  return linear;
}
