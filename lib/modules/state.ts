/**
 * The state of each module. It is kept apart from the object itself: the properties and methods of users' classes can have any name.
 */
import { TokenLearnerError } from '../errors';
import { describe } from '../validate';
import type { FloatDType } from '../dtype';
import type { CallOptions } from '../native-interface';
import type { Module } from './module';
import type { NativeLayer, Runnable } from './native';
import type { RequestOptions } from './request';
import type { Outputs } from './run';

/** A module that was added by `registerModule`. */
export interface RegisteredModule {
  name: string;
  module: Module;
  /** The number of own properties that the parent had before. It gives the order of registration. */
  after: number;
}

/** The options of one forward, and what it makes of the outputs. */
export interface ForwardCall {
  /** The native options; undefined if all are defaults. */
  how: CallOptions | undefined;
  control: RequestOptions;
  results: (outputs: Outputs<FloatDType>) => unknown;
}

/** The state of one module. */
export interface ModuleState {
  disposed: boolean;
  registered: RegisteredModule[];
  /** The module's own native layer. */
  layer: NativeLayer | undefined;
  /** What the package's own `forward` of the module runs, if that is one native request. */
  runnable: (() => Runnable | undefined) | undefined;
  /** The same for a Batcher, if it can run what a Sequential cannot. */
  batchRunnable: (() => Runnable) | undefined;
  /**
   * Checks the options of the package's own `forward` of the module on an input. Undefined if it takes only those of every
   * request and returns one tensor.
   */
  forwardCall: ((input: unknown, options: unknown, allowed: readonly string[]) => ForwardCall) | undefined;
  /** Frees what the module holds apart from its children. */
  release: (() => void) | undefined;
}

/** A class, also an abstract one, for the check of `this`. */
interface ModuleClass<M extends Module> {
  readonly name: string;
  readonly prototype: M;
}

/** A constructor that returns its argument, so that a subclass adds its private fields to that object. */
const Given = function (object: object): object {
  return object;
} as unknown as new (object: object) => object;

/** Adds the state to an object, as a private field. A WeakMap would keep dead modules until a full garbage collection. */
class Stateful extends Given {
  // All of them, so that none is read from Object.prototype.
  readonly #state: ModuleState = {
    disposed: false,
    registered: [],
    layer: undefined,
    runnable: undefined,
    batchRunnable: undefined,
    forwardCall: undefined,
    release: undefined,
  };

  static of(value: object): ModuleState | undefined {
    return #state in value ? value.#state : undefined;
  }
}

/** Makes an object a module. The constructor of Module calls it. */
export function createState(module: Module): void {
  new Stateful(module);
}

/** The state of a value; undefined if it is not a module. */
export function stateOf(value: unknown): ModuleState | undefined {
  return typeof value === 'object' && value !== null ? Stateful.of(value) : undefined;
}

export function isModule(value: unknown): value is Module {
  return stateOf(value) !== undefined;
}

/** The name of a module's class, for messages and reprs. */
export function className(module: Module): string {
  return module.constructor.name === '' ? 'Module' : module.constructor.name;
}

/**
 * The guard in the first line of public methods. It checks that the class's constructor created `self`, and that `self` is not
 * disposed. Throws ERR_INVALID_THIS or ERR_DISPOSED.
 */
export function assertUsable<M extends Module>(self: unknown, Class: ModuleClass<M>): asserts self is M {
  assertThis(self, Class);
  assertNotDisposed(self);
}

/** Throws ERR_DISPOSED. */
export function assertNotDisposed(module: Module): void {
  if (!demandState(module).disposed) return;
  throw new TokenLearnerError('ERR_DISPOSED', `The ${className(module)} was disposed`);
}

/** The same guard for methods that also work on disposed modules. Throws ERR_INVALID_THIS. */
export function assertThis<M extends Module>(
  self: unknown,
  { name, prototype }: ModuleClass<M>,
): asserts self is M {
  if (isModule(self) && Object.prototype.isPrototypeOf.call(prototype, self)) return;
  throw new TokenLearnerError(
    'ERR_INVALID_THIS',
    `Expected \`this\` to be a ${name} but received ${describe(self)}`,
  );
}

/** The guard of static methods that create an object of `this`. Throws ERR_INVALID_THIS. */
export function assertSubclass<M extends Module>(Class: unknown, Base: ModuleClass<M>): void {
  if (Class === Base || Object.prototype.isPrototypeOf.call(Base, Object(Class) as object)) return;
  throw new TokenLearnerError(
    'ERR_INVALID_THIS',
    `Expected \`this\` to be ${Base.name} or a subclass but received ${describe(Class)}`,
  );
}

/** The state of an object that is known to be a module. */
export function demandState(module: Module): ModuleState {
  const state = stateOf(module);
  if (state === undefined) throw new TokenLearnerError('ERR_INVALID_THIS', 'Expected a module');
  return state;
}

/** Gives a module its own native layer. */
export function attachLayer(module: Module, layer: NativeLayer): void {
  Object.assign(demandState(module), {
    layer,
    runnable: () => layer,
    release: () => {
      layer.dispose();
    },
  });
}

/** The own native layer of a module that has one. */
export function layerOf(module: Module): NativeLayer {
  const layer = stateOf(module)?.layer;
  if (layer === undefined)
    throw new TokenLearnerError('ERR_INVALID_THIS', 'Expected a module with a layer of its own');
  return layer;
}
