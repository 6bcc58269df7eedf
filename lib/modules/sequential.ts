import { TokenLearnerError } from '../errors';
import { checkShape, type Shape } from '../shape';
import type { Tensor } from '../tensor/tensor';
import { checkInteger, checkOptions, type NoOptions, unexpected } from '../validate';
import { Container } from './container';
import { assertThis, assertUsable, type FloatDType, Module } from './module';
import { checkRequest, REQUEST_OPTIONS, type RequestOptions } from './request';

function byPosition(modules: readonly unknown[]): Map<string, Module> {
  if (modules.length === 0) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      'Expected at least one module for `modules` but received none',
    );
  }
  return new Map(
    modules.map((module, i) => {
      if (module instanceof Module) return [String(i), module];
      throw unexpected('ERR_INVALID_ARG_TYPE', `modules[${i}]`, 'a module', module);
    }),
  );
}

/**
 * torch.nn.Sequential: modules that run one after the other, natively as one request. Positions are the prefixes of the
 * parameters' names: '0.net.0.weight'.
 */
export class Sequential extends Container {
  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE if an argument is not a module; ERR_INVALID_ARG_VALUE without arguments. */
  constructor(...modules: Module[]) {
    super(byPosition(modules), { nodes: modules.map((_, i) => [i]), outputs: [modules.length] });
  }

  /** The number of modules. */
  get length(): number {
    assertThis(this, Sequential);
    return this.children.size;
  }

  /** Returns the module at a position; undefined if there is none. A negative position counts from the end. */
  at(index: number): Module | undefined {
    assertThis(this, Sequential);
    return [...this.children.values()].at(checkInteger('index', index));
  }

  /** Iterates over the modules in order. */
  [Symbol.iterator](): IterableIterator<Module> {
    assertThis(this, Sequential);
    return this.children.values();
  }

  override outputShape(shape: Shape): number[] {
    assertUsable(this, Sequential);
    return [...this.children.values()].reduce<number[]>(
      (current, module) => module.outputShape(current),
      checkShape('shape', shape),
    );
  }

  /**
   * Runs all modules as one request on the executor thread. A TokenLearner in it returns only its tokens.
   *
   * @throws TokenLearnerError (as a rejection) the errors of the modules' own forwards.
   */
  async forward<D extends FloatDType>(input: Tensor<D>, options?: RequestOptions): Promise<Tensor<D>> {
    assertUsable(this, Sequential);
    const control = checkRequest(checkOptions('options', options, REQUEST_OPTIONS));
    return (await this.submit(input, undefined, control))[0];
  }

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. */
  forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D> {
    assertUsable(this, Sequential);
    checkOptions('options', options, []);
    return this.runSync(input)[0];
  }
}
