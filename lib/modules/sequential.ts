import { TokenLearnerError } from '../errors';
import { checkShape, type Shape } from '../shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkInteger, checkOptions, type NoOptions, unexpected } from '../validate';
import type { FloatDType } from '../dtype';
import { registerClass } from './classes';
import { Module } from './module';
import { markBuiltIn, Plan, runnableOf, runStepsSync } from './plan';
import { checkRequest, REQUEST_OPTIONS, type RequestOptions } from './request';
import { runSync, submit } from './run';
import { assertThis, assertUsable, className, demandState, isModule } from './state';
import { modulesOf } from './tree';

function checkModules(modules: readonly unknown[]): void {
  if (modules.length === 0) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      'Expected at least one module for `modules` but received none',
    );
  }
  modules.forEach((module, i) => {
    if (!isModule(module)) throw unexpected('ERR_INVALID_ARG_TYPE', `modules[${i}]`, 'a module', module);
  });
}

/**
 * torch.nn.Sequential: modules that run one after the other. Positions are the prefixes of the parameters' names: '0.net.0.weight'.
 * A module that is assigned to a property, or registered, is appended.
 *
 * Modules of this package run natively, those that follow one another as one request. A module with a forward of its own, such as
 * a subclass's, is called.
 *
 * @example
 * ```ts
 * import { Flatten, Linear, Sequential, Tensor, TokenLearner } from 'tokenlearner';
 *
 * const model = new Sequential(new TokenLearner({ dim: 64 }), new Flatten(), new Linear(64 * 8, 10));
 * const y = await model.forward(Tensor.randn([1, 64, 32, 32]));
 * console.log(y.shape); // [ 1, 10 ]
 * ```
 */
export class Sequential extends Module {
  #plan: Plan | undefined;
  #isPlanning = false;

  static {
    markBuiltIn(this);
    registerClass('Sequential', this, (_, children) => new Sequential(...children));
  }

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE if an argument is not a module; ERR_INVALID_ARG_VALUE without arguments. */
  constructor(...modules: Module[]) {
    super();
    checkModules(modules);
    const state = demandState(this);
    state.registered = modules.map((module, i) => ({ name: String(i), module, after: 0 }));
    state.runnable = () => this.#current().graph;
    state.release = () => this.#plan?.dispose();
    this.#current();
  }

  /** The number of modules. */
  get length(): number {
    assertThis(this, Sequential);
    return modulesOf(this).length;
  }

  /** Returns the module at a position; undefined if there is none. A negative position counts from the end. */
  at(index: number): Module | undefined {
    assertThis(this, Sequential);
    return modulesOf(this).at(checkInteger('index', index));
  }

  /** Iterates over the modules in order. */
  [Symbol.iterator](): IterableIterator<Module> {
    assertThis(this, Sequential);
    return modulesOf(this).values();
  }

  override outputShape(shape: Shape): number[] {
    assertUsable(this, Sequential);
    return modulesOf(this).reduce<number[]>(
      (current, module) => checkShape(`${className(module)}.outputShape()`, module.outputShape(current)),
      checkShape('shape', shape),
    );
  }

  /**
   * Runs all modules, without blocking the event loop. `signal` and `timeoutMs` reach each of them; the timeout is for all modules
   * together. A TokenLearner in it returns only its tokens.
   *
   * Where a module with a forward of its own stands between others, those that follow it are run with the parameters that they have
   * by then, as in PyTorch. Where there is none, the whole forward has those of its call.
   *
   * @throws TokenLearnerError (as a rejection) the errors of the modules' own forwards; ERR_INVALID_ARG_TYPE if the forward of your
   * own module does not return a tensor; ERR_NOT_IMPLEMENTED if it has no forward.
   *
   * @param input - a tensor of a floating dtype, or of the dtype that a compiled program at the beginning takes.
   */
  override forward<D extends FloatDType>(input: Tensor<D>, options?: RequestOptions): Promise<Tensor<D>>;
  override forward(input: AnyTensor, options?: RequestOptions): Promise<AnyTensor>;
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: RequestOptions,
  ): Promise<Tensor<D>> {
    assertUsable(this, Sequential);
    const control = checkRequest(checkOptions('options', options, REQUEST_OPTIONS));
    const plan = this.#current();
    if (plan.graph === undefined) return plan.run(input, control);
    return (await submit(plan.graph, input, undefined, control))[0];
  }

  /**
   * Computes the same numbers as {@link forward} on the calling thread, and blocks it. Calls the forwardSync of modules of your
   * own.
   */
  override forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D>;
  override forwardSync(input: AnyTensor, options?: NoOptions): AnyTensor;
  override forwardSync<D extends FloatDType>(input: Tensor<D>, options?: NoOptions): Tensor<D> {
    assertUsable(this, Sequential);
    checkOptions('options', options, []);
    const plan = this.#current();
    return plan.graph === undefined ? runStepsSync(plan.steps, input) : runSync(plan.graph, input)[0];
  }

  /** The plan for the modules as they are now: they, and their methods, may have been replaced. */
  #current(): Plan {
    if (this.#isPlanning)
      throw new TokenLearnerError('ERR_INVALID_ARG_VALUE', `The ${className(this)} contains itself`);
    this.#isPlanning = true;
    try {
      const modules = modulesOf(this);
      const runnables = modules.map(runnableOf);
      if (this.#plan?.fits(modules, runnables) !== true) {
        const old = this.#plan;
        this.#plan = new Plan(modules, runnables);
        old?.dispose();
      }
      return this.#plan;
    } finally {
      this.#isPlanning = false;
    }
  }
}
