/** The steps of a Sequential, and how a forward runs them. */
import { TokenLearnerError } from '../errors';
import { type Tensor, tensorArgument } from '../tensor/tensor';
import type { FloatDType } from '../dtype';
import type { Module } from './module';
import { NativeGraph, type Runnable } from './native';
import { controlOf, request, type RequestOptions, timedOut } from './request';
import { runSync, submit } from './run';
import { assertNotDisposed, className, demandState } from './state';

/** A native request, or a module whose own methods are called. */
export type Step = NativeGraph | Module;

type Method = 'forward' | 'forwardSync';
/** A module or a prototype, of which only the identity of the methods counts. */
type Methods = Readonly<Record<Method, object>>;

const builtIn = new WeakSet();

/** Marks the forward and the forwardSync of a class of this package. A module with other ones is called, not run natively. */
export function markBuiltIn({ prototype }: { prototype: Methods }): void {
  builtIn.add(prototype.forward);
  builtIn.add(prototype.forwardSync);
}

/**
 * The native request that a module's forward is; undefined if only calling the module gives its result: it has a forward of its
 * own, or a child that has one. Throws ERR_DISPOSED.
 */
export function runnableOf(module: Module): Runnable | undefined {
  assertNotDisposed(module);
  return isOverridden(module) ? undefined : demandState(module).runnable?.();
}

/** The same for a Batcher, which also takes modules of several outputs. */
export function batchRunnableOf(module: Module): Runnable | undefined {
  const { batchRunnable } = demandState(module);
  if (batchRunnable === undefined) return runnableOf(module);
  assertNotDisposed(module);
  return isOverridden(module) ? undefined : batchRunnable();
}

function isOverridden(module: Module): boolean {
  return !isBuiltIn(module, 'forward') || !isBuiltIn(module, 'forwardSync');
}

function isBuiltIn(module: Methods, method: Method): boolean {
  return builtIn.has(module[method]);
}

/** Modules as steps. Native modules that follow one another are one step. */
export class Plan {
  readonly steps: readonly Step[];
  readonly #modules: readonly Module[];
  readonly #runnables: readonly (Runnable | undefined)[];
  #runs = 0;
  #isDisposed = false;

  constructor(modules: readonly Module[], runnables: readonly (Runnable | undefined)[]) {
    this.#modules = modules;
    this.#runnables = runnables;
    const groups = modules.reduce<(Runnable[] | Module)[]>((before, module, i) => {
      const runnable = runnables[i];
      const last = before.at(-1);
      if (runnable === undefined) return [...before, module];
      return Array.isArray(last) ? [...before.slice(0, -1), [...last, runnable]] : [...before, [runnable]];
    }, []);
    this.steps = groups.map((group) => (Array.isArray(group) ? new NativeGraph(group) : group));
  }

  /** True if the plan is still that of these modules. */
  fits(modules: readonly Module[], runnables: readonly (Runnable | undefined)[]): boolean {
    const isSame = (a: readonly unknown[], b: readonly unknown[]): boolean =>
      a.length === b.length && a.every((item, i) => item === b[i]);
    return isSame(this.#modules, modules) && isSame(this.#runnables, runnables);
  }

  /** The whole plan, if it is one native request. */
  get graph(): NativeGraph | undefined {
    const [first] = this.steps;
    return this.steps.length === 1 && first instanceof NativeGraph ? first : undefined;
  }

  /** Runs the steps with {@link runSteps}. A plan that is disposed meanwhile keeps its graphs until then. */
  async run<D extends FloatDType>(input: Tensor<D>, control: RequestOptions): Promise<Tensor<D>> {
    this.#runs += 1;
    try {
      return await runSteps(this.steps, input, control);
    } finally {
      this.#runs -= 1;
      this.#release();
    }
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#release();
  }

  #release(): void {
    if (!this.#isDisposed || this.#runs > 0) return;
    for (const step of this.steps) if (step instanceof NativeGraph) step.dispose();
  }
}

/**
 * Runs steps one after the other. Each gets the signal and the time that is left. No step starts after the request was aborted.
 * Errors of users' modules pass unchanged.
 */
function runSteps<D extends FloatDType>(
  steps: readonly Step[],
  input: Tensor<D>,
  control: RequestOptions,
): Promise<Tensor<D>> {
  const { signal, timeoutMs } = control;
  const started = performance.now();
  let stopped = false;
  const left = (): RequestOptions => {
    if (timeoutMs === undefined) return control;
    const rest = timeoutMs - (performance.now() - started);
    if (rest <= 0) throw timedOut(timeoutMs);
    return controlOf(signal, Math.ceil(rest));
  };
  const run = async (): Promise<Tensor<D>> => {
    tensorArgument('input', input);
    let current = input;
    for (const step of steps) {
      if (stopped) break;
      current = await (step instanceof NativeGraph
        ? submit(step, current, undefined, left()).then(([output]) => output)
        : callForward(step, current, left()));
    }
    return current;
  };
  return request(control, run, () => {
    stopped = true;
  });
}

/** Runs steps one after the other on the calling thread. */
export function runStepsSync<D extends FloatDType>(steps: readonly Step[], input: Tensor<D>): Tensor<D> {
  tensorArgument('input', input);
  return steps.reduce(
    (current, step) =>
      step instanceof NativeGraph ? runSync(step, current)[0] : callForwardSync(step, current),
    input,
  );
}

async function callForward<D extends FloatDType>(
  module: Module,
  input: Tensor<D>,
  control: RequestOptions,
): Promise<Tensor<D>> {
  demandOwn(module, 'forward', 'forwardSync');
  const hasOptions = Object.keys(control).length > 0;
  const output: unknown = await (hasOptions ? module.forward(input, control) : module.forward(input));
  return checkOutput(module, 'forward', output);
}

function callForwardSync<D extends FloatDType>(module: Module, input: Tensor<D>): Tensor<D> {
  demandOwn(module, 'forwardSync', 'forward');
  return checkOutput(module, 'forwardSync', module.forwardSync(input));
}

/** Refuses the package's own method where the class overrides the other one: it would not compute what the class defines. */
function demandOwn(module: Module, method: Method, other: Method): void {
  assertNotDisposed(module);
  const isOwn = typeof module[method] === 'function' && !isBuiltIn(module, method);
  if (isOwn || isBuiltIn(module, other)) return;
  const name = className(module);
  throw new TokenLearnerError(
    'ERR_NOT_IMPLEMENTED',
    `${name} has a ${other} of its own but no ${method}: override ${method} to use it`,
  );
}

/** Checks the result of a user's module. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED. */
function checkOutput<D extends FloatDType>(module: Module, method: Method, output: unknown): Tensor<D> {
  tensorArgument(`the result of ${className(module)}.${method}`, output);
  return output as Tensor<D>;
}
