import { binding } from '../binding';
import type { Device } from '../device';
import type { LayerHandle } from '../native-interface';
import { placementOf } from './leaf';
import { assertUsable, type FloatDType, type Leaf, Module } from './module';

/** The connections between a container's children. Slot 0 is the input; child i fills slot i + 1. */
export interface Wiring {
  /** For each child, the slots that it reads. */
  nodes: readonly (readonly number[])[];
  /** The slots that the container returns. */
  outputs: readonly number[];
}

/** Indents all lines of a child's repr except the first, as PyTorch does. */
function indented(text: string): string {
  return text.split('\n').join('\n  ');
}

/**
 * Named modules that run natively as one request, as a graph. As in PyTorch, a child's name is the prefix of its parameters'
 * names: 'head.weight'.
 */
export abstract class Container extends Module {
  readonly #children: ReadonlyMap<string, Module>;
  readonly #handle: LayerHandle;

  protected constructor(children: ReadonlyMap<string, Module>, { nodes, outputs }: Wiring) {
    super();
    this.#children = children;
    const handles = [...children.values()].map((module) => {
      assertUsable(module, Module);
      return module.handle();
    });
    this.#handle = binding().createContainer(handles, 1, nodes, outputs);
  }

  override get device(): Device {
    assertUsable(this, Container);
    return placementOf(binding().placement(this.#handle)).device;
  }

  override get dtype(): FloatDType {
    assertUsable(this, Container);
    return placementOf(binding().placement(this.#handle)).dtype;
  }

  /** The children by name, in order. @internal */
  protected get children(): ReadonlyMap<string, Module> {
    return this.#children;
  }

  /** @internal */
  override leaves(prefix = ''): { prefix: string; leaf: Leaf }[] {
    return [...this.#children].flatMap(([name, module]) => module.leaves(`${prefix}${name}.`));
  }

  /** @internal */
  override handle(): LayerHandle {
    return this.#handle;
  }

  override toString(): string {
    assertUsable(this, Container);
    const lines = [...this.#children].map(([name, module]) => `  (${name}): ${indented(module.toString())}`);
    return [`${this.constructor.name}(`, ...lines, ')'].join('\n');
  }

  /** Disposes the children too. @internal */
  protected override release(): void {
    binding().disposeLayer(this.#handle);
    for (const module of this.#children.values()) module.dispose();
  }
}
