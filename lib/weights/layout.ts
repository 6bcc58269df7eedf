/**
 * Layouts of parameters as data. A layout is a list of axes, such as 'C D' for flax's [in, out] kernel of a layer from C to D. A letter is a
 * size that is the same wherever the letter stands; a prime (G') tells two axes of the same size apart; a number is that size.
 */
import type { Shape } from '../shape';

/** The sizes of letters. It inherits nothing: a letter without a size is undefined. */
export type Sizes = Record<string, number>;

/** The same sizes, in an object of its own. */
export function sizesLike(sizes: Sizes | null): Sizes {
  return Object.assign(Object.create(null) as Sizes, sizes);
}

/** How to make a parameter from a file's tensor: `tensor.permute(...permute).reshape(shape)`. */
export interface Rearrangement {
  permute: readonly number[];
  shape: Shape;
}

function axesOf(layout: string): string[] {
  return layout.split(' ');
}

/** The letter of an axis; undefined for a number. */
function letterOf(axis: string): string | undefined {
  return /^\d/.test(axis) ? undefined : axis.replaceAll("'", '');
}

/** Returns the known sizes and those that a shape gives to the layout's letters; undefined if they contradict each other. */
export function bind(layout: string, shape: Shape, known: Sizes): Sizes | undefined {
  const axes = axesOf(layout);
  if (axes.length !== shape.length) return undefined;
  const sizes = sizesLike(known);
  for (const [i, axis] of axes.entries()) {
    const size = shape[i] ?? 0;
    const letter = letterOf(axis);
    const expected = letter === undefined ? Number(axis) : (sizes[letter] ?? size);
    if (size !== expected || size < 1) return undefined;
    if (letter !== undefined) sizes[letter] = size;
  }
  return sizes;
}

/** The shape of a layout, all of whose letters have a size. */
export function shapeOf(layout: string, sizes: Sizes): number[] {
  return axesOf(layout).map((axis) => sizes[letterOf(axis) ?? ''] ?? Number(axis));
}

/** How to bring a tensor from one layout to another of the same letters. Axes of size 1 come and go. */
export function rearrangement(from: string, to: string, sizes: Sizes): Rearrangement {
  const axes = axesOf(from);
  const left = new Set(axes.keys());
  const permute: number[] = [];
  for (const axis of axesOf(to)) {
    const at = [...left].find((i) => axes[i] === axis);
    if (at === undefined) continue;
    left.delete(at);
    permute.push(at);
  }
  return { permute: [...permute, ...left], shape: shapeOf(to, sizes) };
}
