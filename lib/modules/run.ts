/** How a forward runs native code: the check of the input, and the two ways to call. */
import { binding } from '../binding';
import { dtypeFromCode, type FloatDType, isFloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { CallOptions, NativeTensor, TensorArg } from '../native-interface';
import { adoptTensor, flattened, type Tensor, tensorArgument } from '../tensor/tensor';
import type { Runnable } from './native';
import { request, type RequestOptions } from './request';

/** The outputs of a run. There is at least one. */
export type Outputs<D extends FloatDType> = [Tensor<D>, ...Tensor<D>[]];

/** Tensors of native outputs. */
export function adopted<D extends FloatDType>(natives: readonly NativeTensor[]): Outputs<D> {
  return natives.map((native) => adoptTensor(native)) as unknown as Outputs<D>;
}

/** Checks an input and runs it on the device's executor. `how` holds the layer's options. */
export function submit<D extends FloatDType>(
  runnable: Runnable,
  input: Tensor<D>,
  how: CallOptions | undefined,
  control: RequestOptions,
): Promise<Outputs<D>> {
  return submitAll(runnable, () => [checkInput(runnable, input, how)], how, control);
}

/** The same for the inputs that `check` returns. */
export async function submitAll<D extends FloatDType>(
  runnable: Runnable,
  check: () => TensorArg[],
  how: CallOptions | undefined,
  control: RequestOptions,
): Promise<Outputs<D>> {
  const native = binding();
  let id = 0;
  const outputs = await request(
    control,
    (isControlled, timeoutMs) => {
      const inputs = check().flatMap(flattened);
      if (isControlled) id = native.nextRequestId();
      return native.forward(runnable.handle.id, how, id, timeoutMs, ...inputs);
    },
    () => {
      if (id !== 0) native.cancel(id);
    },
  );
  return adopted(outputs);
}

/** Checks an input and runs it on the calling thread. */
export function runSync<D extends FloatDType>(
  runnable: Runnable,
  input: Tensor<D>,
  how?: CallOptions,
): Outputs<D> {
  const argument = checkInput(runnable, input, how);
  return adopted(binding().forwardSync(runnable.handle.id, how, ...flattened(argument)));
}

/** Checks an input for a module. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, ERR_DETACHED, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH. */
export function checkInput(runnable: Runnable, input: unknown, how: CallOptions | undefined): TensorArg {
  const argument = checkInputDType(runnable, 'input', input);
  runnable.accepts(argument.shape, how);
  return argument;
}

/** The same without the shape. */
export function checkInputDType(runnable: Runnable, name: string, input: unknown): TensorArg {
  // Check the argument that native code gets. The object's own properties may differ from it.
  const argument = tensorArgument(name, input);
  const dtype = dtypeFromCode(argument.dtype);
  const { inputDType } = runnable;
  const own = inputDType ?? (runnable.hasParameters ? runnable.placement().dtype : undefined);
  if (own === undefined && !isFloatDType(dtype)) {
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected a floating dtype for \`${name}\` but received ${dtype}`,
    );
  }
  if (own !== undefined && dtype !== own) {
    const orModule =
      inputDType === undefined && isFloatDType(dtype) ? `, or the module with to('${dtype}')` : '';
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected dtype ${own}, the module's, for \`${name}\` but received ${dtype}; convert it with to('${own}')${orModule}`,
    );
  }
  return argument;
}
