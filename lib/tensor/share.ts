/** Tensors for other threads. */
import { binding } from '../binding';
import { Shared } from '../shared';
import { adoptTensor, live, viewArgument } from './access';
import type { AnyTensor } from './tensor';

/** Offers the elements as they are now. */
export function shareTensor<T extends AnyTensor>(tensor: T): Shared<T> {
  return new Shared('shared-tensor', binding().shareTensor(viewArgument(live(tensor)), false, false));
}

/** Offers the elements to the first who opens them, and disposes the tensor. */
export function moveTensor<T extends AnyTensor>(tensor: T): Shared<T> {
  const view = live(tensor);
  const id = binding().shareTensor(viewArgument(view), true, view.storage.views === 1);
  tensor.dispose();
  return new Shared('shared-tensor', id);
}

export function openTensor(id: string): AnyTensor {
  return adoptTensor(binding().openTensor(id));
}
