import { checkInteger, unexpected } from '../validate';
import { registerClass } from './classes';
import { Module } from './module';
import { assertThis, assertUsable, className, demandState, isModule } from './state';
import { childReprs, indented, modulesOf } from './tree';

/**
 * torch.nn.ModuleList: a list of modules as one child. Positions are the prefixes of the parameters' names: 'layers.0.weight'. It
 * has no forward: the module that holds it calls its modules.
 *
 * @example
 * ```ts
 * import { Linear, Module, ModuleList, Tensor } from 'tokenlearner';
 *
 * class Tower extends Module {
 *   readonly layers = new ModuleList([new Linear(8, 8), new Linear(8, 8)]);
 *
 *   override async forward(x: Tensor): Promise<Tensor> {
 *     for (const layer of this.layers) x = await layer.forward(x);
 *     return x;
 *   }
 * }
 * console.log(Object.keys(new Tower().stateDict())[0]); // layers.0.weight
 * ```
 */
export class ModuleList extends Module {
  static {
    registerClass('ModuleList', this, (_, children) => new ModuleList(children));
  }

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE if it is not an array of modules. */
  constructor(modules: readonly Module[] = []) {
    super();
    if (!Array.isArray(modules))
      throw unexpected('ERR_INVALID_ARG_TYPE', 'modules', 'an array of modules', modules);
    demandState(this).registered = Array.from(modules, (module: unknown, i) => {
      if (isModule(module)) return { name: String(i), module, after: 0 };
      throw unexpected('ERR_INVALID_ARG_TYPE', `modules[${i}]`, 'a module', module);
    });
  }

  /** The number of modules. */
  get length(): number {
    assertThis(this, ModuleList);
    return modulesOf(this).length;
  }

  /** Returns the module at a position; undefined if there is none. A negative position counts from the end. */
  at(index: number): Module | undefined {
    assertThis(this, ModuleList);
    return modulesOf(this).at(checkInteger('index', index));
  }

  /** Iterates over the modules in order. */
  [Symbol.iterator](): IterableIterator<Module> {
    assertThis(this, ModuleList);
    return modulesOf(this).values();
  }

  /** Returns PyTorch's repr, which shows equal modules in a row once. */
  override toString(): string {
    assertUsable(this, ModuleList);
    const runs: { first: string; last: string; text: string; count: number }[] = [];
    for (const [name, text] of childReprs(this)) {
      const run = runs.at(-1);
      if (run?.text === text) Object.assign(run, { last: name, count: run.count + 1 });
      else runs.push({ first: name, last: name, text, count: 1 });
    }
    const lines = runs.map(({ first, last, text, count }) =>
      count === 1 ? `  (${first}): ${indented(text)}` : `  (${first}-${last}): ${count} x ${indented(text)}`,
    );
    return runs.length === 0 ? `${className(this)}()` : [`${className(this)}(`, ...lines, ')'].join('\n');
  }
}
