/** ModelInfer. */
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { LONGEST_DELAY } from '../check';
import type { Core } from '../core';
import { datatypeOf, dtypeOf, elementsOf } from '../datatypes';
import { Departure } from '../departure';
import { checkInput, inOrder, type Input, inputMemory, ownInput } from '../input';
import type { TensorMetadata } from '../models/metadata';
import type { LiveModel, NamedTensor } from '../models/live-model';
import { earliest } from '../models/runner';
import { type ServedModel, type Target, VERSION } from '../models/served-model';
import { invalid, Problem, problemOf } from '../problem';
import { checkSizes, refuseParameters, requestParameters } from '../protocol';
import { TrackedRequest } from '../tracked-request';
import { tensorOfJson } from '../values';
import {
  type InputMessage,
  type ModelInferRequest,
  type ModelInferResponse,
  plainParameters,
} from './messages';

export type InferCall = ServerUnaryCall<ModelInferRequest, ModelInferResponse>;

/** Answers a call that has been admitted. Rejects with a Problem. */
export async function infer(core: Core, call: InferCall): Promise<ModelInferResponse> {
  const { request } = call;
  const model = core.models.get(request.model_name, request.model_version);
  const tracked = new TrackedRequest(core, model, { protocol: 'grpc', carrier: call.metadata.getMap() });
  const departure = new Departure();
  call.on('cancelled', () => {
    departure.abort(new Problem('cancelled', 'The client cancelled the call'));
  });
  let live: LiveModel | undefined;
  try {
    live = model.take();
    const response = await answer(core, call, { model, live }, tracked, departure);
    tracked.succeed();
    return response;
  } catch (error) {
    const problem = problemOf(error);
    tracked.fail(problem);
    throw problem;
  } finally {
    live?.release();
  }
}

async function answer(
  core: Core,
  call: InferCall,
  target: Target,
  tracked: TrackedRequest,
  signal: Departure,
): Promise<ModelInferResponse> {
  const { request } = call;
  checkParameters(request);
  const { model, live } = target;
  const outputs = live.chooseOutputs(request.outputs.map(({ name }) => name));
  const { timeoutMs: own, priority } = requestParameters(plainParameters(request.parameters));
  const timeoutMs = earliest(own, remaining(call));
  const inputs = inputsOf(core, request, target);
  tracked.received(request.id === '' ? undefined : request.id);
  let isDone = false;
  try {
    const results = await tracked.run(() =>
      live.infer(
        inputs.map(({ tensor }) => tensor),
        {
          outputs,
          signal,
          ...(timeoutMs === undefined ? {} : { timeoutMs }),
          ...(priority === undefined ? {} : { priority }),
        },
      ),
    );
    isDone = true;
    const encoded = tracked.encode(() => response(model, request.id, results));
    for (const { tensor } of results) tensor.dispose();
    return encoded;
  } finally {
    for (const input of inputs) input.release(isDone);
  }
}

function checkParameters({ parameters, inputs, outputs }: ModelInferRequest): void {
  refuseParameters('parameters', Object.keys(parameters));
  for (const [name, tensors] of Object.entries({ inputs, outputs }))
    for (const [i, each] of tensors.entries())
      refuseParameters(`${name}[${i}].parameters`, Object.keys(each.parameters));
}

function inputsOf(
  { pool }: Core,
  { inputs, raw_input_contents: raw }: ModelInferRequest,
  { model, live }: Target,
): Input[] {
  const known = live.metadata.inputs;
  const matched = inOrder(known, inputs);
  if (raw.length > 0 && raw.length !== inputs.length)
    throw invalid(`Expected ${inputs.length} entries in \`raw_input_contents\` but received ${raw.length}`);
  const both = inputs.findIndex(({ contents }) => filled(contents).length > 0);
  if (raw.length > 0 && both >= 0)
    throw invalid(
      `Expected either \`contents\` (in \`inputs[${both}]\`) or \`raw_input_contents\`, not both`,
    );
  const checked = known.map((expected, i) => {
    const input = matched[i];
    if (input === undefined) throw invalid(`The input \`${expected.name}\` is missing`);
    const index = inputs.indexOf(input);
    const shape = checkSizes(`inputs[${index}].shape`, input.shape);
    const bytes = checkInput({ ...input, shape }, expected);
    return { expected, input, shape, bytes, data: raw[index] };
  });
  const reservation = model.admit(checked.reduce((sum, { bytes }) => sum + bytes, 0));
  const made: Input[] = [];
  try {
    for (const { expected, input, shape, bytes, data } of checked)
      made.push(
        data === undefined
          ? typedInput(live, input.contents, shape, expected)
          : rawInput(pool, live, data, bytes, shape, expected),
      );
    return made;
  } catch (error) {
    for (const input of made) input.release(true);
    throw error;
  } finally {
    reservation.release();
  }
}

function rawInput(
  pool: Core['pool'],
  { runner }: LiveModel,
  raw: Buffer,
  bytes: number,
  shape: number[],
  { name, datatype }: TensorMetadata,
): Input {
  if (raw.length !== bytes)
    throw invalid(
      `Expected ${bytes} bytes for \`${name}\`, ${datatype} [${shape.join(', ')}], but received ${raw.length}`,
    );
  const memory = inputMemory(pool, runner, datatype, shape);
  raw.copy(memory.bytes);
  return memory;
}

/** The field of `contents` for each datatype that has one. */
const CONTENTS: Readonly<Record<string, string>> = {
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  BOOL: 'bool_contents',
};

/** The fields of `contents` that hold values. */
function filled(contents: InputMessage['contents']): string[] {
  return Object.entries(contents ?? {}).flatMap(([field, values]) => (values.length > 0 ? [field] : []));
}

function typedInput(
  { runner }: LiveModel,
  contents: InputMessage['contents'],
  shape: number[],
  { name, datatype }: TensorMetadata,
): Input {
  const field = CONTENTS[datatype];
  if (field === undefined)
    throw invalid(`Expected \`raw_input_contents\` for \`${name}\` of datatype ${datatype}`);
  const values = contents?.[field] ?? [];
  const other = filled(contents).find((each) => each !== field);
  if (other !== undefined)
    throw invalid(`Expected only \`${field}\` for \`${name}\` of datatype ${datatype} but received ${other}`);
  return ownInput(tensorOfJson(name, values, shape, dtypeOf(datatype), 'message'), runner);
}

function response(model: ServedModel, id: string, results: readonly NamedTensor[]): ModelInferResponse {
  return {
    model_name: model.name,
    model_version: VERSION,
    id,
    outputs: results.map(({ name, tensor }) => ({
      name,
      datatype: datatypeOf(tensor.dtype),
      shape: [...tensor.shape],
    })),
    raw_output_contents: results.map(({ tensor }) => elementsOf(tensor)),
  };
}

/** The milliseconds until the call's deadline; undefined if it has none. */
function remaining(call: InferCall): number | undefined {
  const deadline = call.getDeadline();
  const left = Number(deadline) - Date.now();
  return Number.isFinite(left) ? Math.min(LONGEST_DELAY, Math.max(0, left)) : undefined;
}
