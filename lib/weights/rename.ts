/** Brings weights from one set of names and layouts to another. */
import { TokenLearnerError } from '../errors';
import { quote } from '../formats/format-error';
import { formatShape } from '../shape';
import type { AnyTensor } from '../tensor/tensor';
import { FORMS, type FormName } from './forms';
import type { KeyFamily } from './key-families';
import { bind, rearrangement, type Rearrangement, type Sizes, sizesLike } from './layout';
import type { Recognition } from './recognise';

/** Tensors by name. */
type Tensors = Record<string, AnyTensor>;

/** A view where strides allow it, else a copy. The same tensor if there is nothing to do. */
function rearranged(tensor: AnyTensor, { permute, shape }: Rearrangement): AnyTensor {
  const moved = permute.every((axis, i) => axis === i) ? tensor : tensor.permute(permute);
  const isSame = moved.shape.length === shape.length && moved.shape.every((size, i) => size === shape[i]);
  return isSame ? moved : moved.reshape(shape);
}

/**
 * Returns a module's weights under this package's names, in its layouts: what the module's `loadStateDict` takes. The tensors may be views of those
 * of `dict`.
 *
 * @param dict - the state dict in which the module was recognised
 */
export function toOwnNames(dict: Readonly<Tensors>, { mapping }: Recognition): Tensors {
  const own = Object.create(null) as Tensors;
  for (const { key, from, ...how } of mapping) {
    const tensor = dict[from];
    if (tensor === undefined)
      throw new TokenLearnerError('ERR_STATE_DICT', `The state dict has no ${quote(from)}`);
    own[key] = rearranged(tensor, how);
  }
  return own;
}

function sizesOf(form: FormName, own: Readonly<Tensors>): Sizes {
  let sizes = sizesLike(null);
  for (const [name, layout] of Object.entries(FORMS[form].parameters)) {
    const shape = own[name]?.shape ?? [];
    const bound = bind(layout, shape, sizes);
    if (bound === undefined)
      throw new TokenLearnerError(
        'ERR_STATE_DICT',
        `${name} of shape ${formatShape(shape)} does not fit the other weights`,
      );
    sizes = bound;
  }
  return sizes;
}

/**
 * The reverse of {@link toOwnNames}: weights under this package's names get those of a key family.
 *
 * @param separator - between the parts of a name: '/' for flax's trees, '.' for PyTorch's
 */
export function toNamesOf(family: KeyFamily, own: Readonly<Tensors>, separator: '.' | '/'): Tensors {
  const sizes = sizesOf(family.form, own);
  const dict = Object.create(null) as Tensors;
  for (const [key, layout] of Object.entries(FORMS[family.form].parameters)) {
    const [name, target] = family.keys[key] ?? [key];
    const tensor = own[key];
    if (tensor === undefined) continue;
    dict[name.replaceAll('.', separator)] = rearranged(
      tensor,
      rearrangement(layout, target ?? layout, sizes),
    );
  }
  return dict;
}
