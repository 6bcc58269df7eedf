import { requireLibtorch } from '../binding';
import type { Device } from '../device';
import { TokenLearnerError } from '../errors';
import type { LayerHandle } from '../native-interface';
import type { Shape } from '../shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { unexpected } from '../validate';
import { type FloatDType, type Leaf, Module } from './module';

/** Indents all lines of a child's repr but the first, as PyTorch does. */
function indented(text: string): string {
  return text.split('\n').join('\n  ');
}

const PLAIN = { returnAttention: false, tokensFirst: false };

/**
 * Modules one after the other (torch.nn.Sequential), run natively as one request. Parameters are named by position:
 * '0.net.0.weight'.
 */
export class Sequential extends Module {
  readonly #modules: readonly Module[];
  readonly #handle: LayerHandle;

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE where an argument is no module; ERR_INVALID_ARG_VALUE without any. */
  constructor(...modules: Module[]) {
    super();
    modules.forEach((module: unknown, i) => {
      if (!(module instanceof Module))
        throw unexpected('ERR_INVALID_ARG_TYPE', `modules[${i}]`, 'a module', module);
    });
    if (modules.length === 0) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        'Expected at least one module for `modules` but received none',
      );
    }
    this.#modules = [...modules];
    this.#handle = requireLibtorch().createSequence(modules.map((module) => module.handle()));
  }

  /** Number of modules. */
  get length(): number {
    return this.#modules.length;
  }

  /** The module at a position; negative ones count from the end. */
  at(index: number): Module | undefined {
    return this.#modules.at(index);
  }

  /** The modules in order. */
  [Symbol.iterator](): IterableIterator<Module> {
    return this.#modules[Symbol.iterator]();
  }

  override get device(): Device {
    return this.#withParameters()?.device ?? 'cpu';
  }

  override get dtype(): FloatDType {
    return this.#withParameters()?.dtype ?? 'float32';
  }

  /** @internal */
  override leaves(prefix = ''): { prefix: string; leaf: Leaf }[] {
    return this.#modules.flatMap((module, i) => module.leaves(`${prefix}${i}.`));
  }

  /** @internal */
  override handle(): LayerHandle {
    this.assertUsable();
    for (const module of this.#modules) module.handle();
    return this.#handle;
  }

  override outputShape(shape: Shape): number[] {
    return this.#modules.reduce<number[]>((current, module) => module.outputShape(current), [...shape]);
  }

  /**
   * Runs all modules as one request on the executor thread. TokenLearners in it give their tokens alone.
   *
   * @throws TokenLearnerError (as a rejection) as the modules' own forwards.
   */
  async forward(input: AnyTensor): Promise<Tensor<FloatDType>> {
    const [output] = await this.submit(input, PLAIN);
    return output as Tensor<FloatDType>;
  }

  /** The same numbers, on this thread. */
  forwardSync(input: AnyTensor): Tensor<FloatDType> {
    return this.runSync(input, PLAIN)[0] as Tensor<FloatDType>;
  }

  override toString(): string {
    this.assertUsable();
    const lines = this.#modules.map((module, i) => `  (${i}): ${indented(module.toString())}`);
    return ['Sequential(', ...lines, ')'].join('\n');
  }

  /** Disposes the modules too. @internal */
  protected override release(): void {
    requireLibtorch().disposeLayer(this.#handle);
    for (const module of this.#modules) module.dispose();
  }

  #withParameters(): Leaf | undefined {
    this.assertUsable();
    return this.leaves().find(({ leaf }) => leaf.parameterSpecs.length > 0)?.leaf;
  }
}
