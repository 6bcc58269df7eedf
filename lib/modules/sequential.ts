import { requireLibtorch } from '../binding';
import type { Device } from '../device';
import { TokenLearnerError } from '../errors';
import type { LayerHandle } from '../native-interface';
import { checkShape, type Shape } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { checkInteger, checkOptions, type NoOptions, unexpected } from '../validate';
import { assertThis, assertUsable, type FloatDType, type Leaf, Module } from './module';

/** Indents all lines of a child's repr but the first, as PyTorch does. */
function indented(text: string): string {
  return text.split('\n').join('\n  ');
}

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
    assertThis(this, Sequential);
    return this.#modules.length;
  }

  /** The module at a position; negative ones count from the end. */
  at(index: number): Module | undefined {
    assertThis(this, Sequential);
    return this.#modules.at(checkInteger('index', index));
  }

  /** The modules in order. */
  [Symbol.iterator](): IterableIterator<Module> {
    assertThis(this, Sequential);
    return this.#modules[Symbol.iterator]();
  }

  override get device(): Device {
    assertUsable(this, Sequential);
    return this.#withParameters()?.device ?? 'cpu';
  }

  override get dtype(): FloatDType {
    assertUsable(this, Sequential);
    return this.#withParameters()?.dtype ?? 'float32';
  }

  /** @internal */
  override leaves(prefix = ''): { prefix: string; leaf: Leaf }[] {
    return this.#modules.flatMap((module, i) => module.leaves(`${prefix}${i}.`));
  }

  /** @internal */
  override handle(): LayerHandle {
    assertUsable(this, Sequential);
    for (const module of this.#modules) module.handle();
    return this.#handle;
  }

  override outputShape(shape: Shape): number[] {
    assertUsable(this, Sequential);
    return this.#modules.reduce<number[]>(
      (current, module) => module.outputShape(current),
      checkShape('shape', shape),
    );
  }

  /**
   * Runs all modules as one request on the executor thread. TokenLearners in it give their tokens alone.
   *
   * @throws TokenLearnerError (as a rejection) as the modules' own forwards.
   */
  async forward<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Promise<Tensor<D>> {
    assertUsable(this, Sequential);
    checkOptions('options', options, []);
    return (await this.submit(input))[0];
  }

  /** The same numbers, on this thread. */
  forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D> {
    assertUsable(this, Sequential);
    checkOptions('options', options, []);
    return this.runSync(input)[0];
  }

  override toString(): string {
    assertUsable(this, Sequential);
    const lines = this.#modules.map((module, i) => `  (${i}): ${indented(module.toString())}`);
    return ['Sequential(', ...lines, ')'].join('\n');
  }

  /** Disposes the modules too. @internal */
  protected override release(): void {
    requireLibtorch().disposeLayer(this.#handle);
    for (const module of this.#modules) module.dispose();
  }

  #withParameters(): Leaf | undefined {
    return this.leaves().find(({ leaf }) => leaf.parameterSpecs.length > 0)?.leaf;
  }
}
