import { FORMS, type FormName } from '../../../lib/weights/forms';
import { KEY_FAMILIES, type KeyFamily } from '../../../lib/weights/key-families';
import { shapeOf, type Sizes } from '../../../lib/weights/layout';
import type { Shaped } from '../../../lib/weights/recognise';

/** Sizes at which no two letters are the same. */
export const SIZES: Sizes = { C: 16, G: 3, D: 5, N: 2 };

/** Sizes that fit a key family: flax's variant b has one group below 256 channels. */
export function sizesFor({ id, form }: KeyFamily): Sizes {
  return id === 'flax' && form === 'v11-b' ? { ...SIZES, N: 16 } : SIZES;
}

/** The shapes of a key family's tensors by the names of the file, in one of its layouts. */
export function shapesOf(
  family: KeyFamily,
  { sizes = sizesFor(family), prefix = '', separator = '.', layout = 0 } = {},
): Record<string, Shaped> {
  return Object.fromEntries(
    Object.values(family.keys).map(([name, ...layouts]) => [
      prefix + name.replaceAll('.', separator),
      { shape: shapeOf(layouts[layout] ?? layouts[0] ?? '', sizes) },
    ]),
  );
}

export function familyOf(id: string, form: FormName): KeyFamily {
  const found = KEY_FAMILIES.find((family) => family.id === id && family.form === form);
  if (found === undefined) throw new Error(`no ${id} for ${form}`);
  return found;
}

/** The shapes of a form's parameters, by this package's names. */
export function ownShapes(form: FormName, sizes = SIZES): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(FORMS[form].parameters).map(([name, layout]) => [name, shapeOf(layout, sizes)]),
  );
}
