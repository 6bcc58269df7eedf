/** POST /v2/models/NAME/infer: JSON, and the binary tensor extension, which is the fast path. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Core } from '../core';
import { dtypeOf, elementSize } from '../datatypes';
import { checkInput, inOrder, type Input, inputMemory, ownInput } from '../input';
import { Departure } from '../departure';
import type { Reservation } from '../models/budget';
import type { LiveModel } from '../models/live-model';
import type { ServedModel, Target } from '../models/served-model';
import { invalid, Problem, problemOf } from '../problem';
import { inferenceHeader, type InferenceHeader, parseJson } from '../protocol';
import { TrackedRequest } from '../tracked-request';
import { count, tensorOfJson } from '../values';
import { acceptedEncoding, type EncodedAnswer, encodeAnswer, sendAnswer, sendProblem } from './answer';
import { BodyReader } from './body-reader';
import { discardBody } from './discard-body';
import { endsConnection, over } from './exchange';
import { sayContinue } from './say-continue';
import { readBody } from './read-body';
import { type RequestHead, requestHead } from './request-head';

/** A request whose body has arrived. */
interface Received {
  header: InferenceHeader;
  inputs: Input[];
  outputs: string[];
}

interface Exchange {
  core: Core;
  request: IncomingMessage;
  response: ServerResponse;
}

/** A request that has been admitted. */
interface Admitted {
  head: RequestHead;
  live: LiveModel;
  reservation: Reservation;
}

/** Answers a request. Never rejects. */
export async function infer(exchange: Exchange, name: string, version: string): Promise<void> {
  const { core, request, response } = exchange;
  let model: ServedModel;
  try {
    model = core.models.get(name, version);
    core.lifecycle.enter();
  } catch (error) {
    await refuse(exchange, problemOf(error));
    return;
  }
  const tracked = new TrackedRequest(core, model, { protocol: 'http', carrier: request.headers });
  const departure = new Departure();
  const isOver = over(request, response).then(() => {
    if (!response.writableEnded)
      departure.abort(new Problem('cancelled', 'The client closed the connection'));
  });
  let live: LiveModel | undefined;
  try {
    live = model.take();
    await answer(exchange, { model, live }, tracked, departure);
    tracked.succeed();
  } catch (error) {
    const problem = problemOf(error);
    tracked.fail(problem);
    await refuse(exchange, problem);
  } finally {
    live?.release();
    await isOver;
    core.lifecycle.leave();
  }
}

async function answer(
  exchange: Exchange,
  { model, live }: Target,
  tracked: TrackedRequest,
  signal: Departure,
): Promise<void> {
  const { request, response, core } = exchange;
  const head = requestHead(request, core.options.maxRequestBytes);
  const reservation = model.admit(head.contentLength ?? 0);
  let received: Received;
  try {
    received = await receive(exchange, { head, live, reservation });
  } finally {
    reservation.release();
  }
  const { header, inputs, outputs } = received;
  tracked.received(header.id);
  const { binaryOutput, ...control } = header.parameters;
  let isDone = false;
  try {
    const results = await tracked.run(() =>
      live.infer(
        inputs.map(({ tensor }) => tensor),
        { outputs, signal, ...control },
      ),
    );
    isDone = true;
    const binary = new Map(header.outputs.map((output) => [output.name, output.binary]));
    const isBinary = (output: string): boolean => binary.get(output) ?? binaryOutput;
    let encoded: EncodedAnswer;
    try {
      encoded = tracked.encode(() =>
        encodeAnswer(model.name, header.id, results, isBinary, core.options.maxJsonBytes),
      );
    } finally {
      for (const { tensor } of results) tensor.dispose();
    }
    await sendAnswer(response, encoded, {
      encoding: acceptedEncoding(request.headers['accept-encoding']),
      signal,
      closes: () => endsConnection(request, core.lifecycle),
    });
  } finally {
    for (const input of inputs) input.release(isDone);
  }
}

/** Reads the body into the memory of the inputs. */
async function receive({ request, response, core }: Exchange, admitted: Admitted): Promise<Received> {
  const { head, live, reservation } = admitted;
  const { options } = core;
  let received: Received | undefined;
  const onJson = (json: Buffer): readonly Buffer[] => {
    const header =
      head.jsonBytes === 0 ? rawHeader(live, head) : inferenceHeader(parseJson(json, options.maxJsonDepth));
    const outputs = live.chooseOutputs(header.outputs.map(({ name }) => name));
    const { inputs, targets } = inputsOf(core, header, admitted);
    received = { header, inputs, outputs };
    return targets;
  };
  const onJsonBytes = (bytes: number): void => {
    reservation.grow(bytes);
  };
  const reader = new BodyReader(head.jsonBytes, options, onJson, onJsonBytes);
  sayContinue(request, response);
  try {
    await readBody(request, head.encoding, reader);
  } catch (error) {
    for (const input of received?.inputs ?? []) input.release(true);
    throw error;
  }
  if (received === undefined) throw invalid('The body is empty');
  return received;
}

/** The inputs in the model's order, and the memory that binary data fills, in the request's order. */
function inputsOf(
  { pool }: Core,
  { inputs }: InferenceHeader,
  { head, live, reservation }: Admitted,
): { inputs: Input[]; targets: readonly Buffer[] } {
  const known = live.metadata.inputs;
  const matched = inOrder(known, inputs);
  const sizes = known.map((expected, i) => checkInput(matched[i] ?? expected, expected));
  reservation.grow(sizes.reduce((sum, bytes) => sum + bytes, 0));
  checkBinarySizes(matched, sizes, head);
  const made: Input[] = [];
  const memories = new Map<string, Buffer>();
  try {
    for (const { name, datatype, shape, binarySize, data } of matched) {
      if (binarySize === undefined) {
        made.push(ownInput(tensorOfJson(name, data, shape, dtypeOf(datatype)), live.runner));
        continue;
      }
      const memory = inputMemory(pool, live.runner, datatype, shape);
      memories.set(name, memory.bytes);
      made.push(memory);
    }
  } catch (error) {
    for (const input of made) input.release(true);
    throw error;
  }
  return { inputs: made, targets: inputs.flatMap(({ name }) => memories.get(name) ?? []) };
}

/** Throws a Problem if a size of binary data differs from that of its input, or all of them from that of the body. */
function checkBinarySizes(
  inputs: InferenceHeader['inputs'],
  sizes: readonly number[],
  { encoding, contentLength, jsonBytes }: RequestHead,
): void {
  inputs.forEach(({ name, datatype, shape, binarySize }, i) => {
    if (binarySize !== undefined && binarySize !== sizes[i])
      throw invalid(
        `Expected a binary_data_size of ${sizes[i] ?? 0} for \`${name}\`, ${datatype} [${shape.join(', ')}], but received ${binarySize}`,
      );
  });
  const isBinary = inputs.some(({ binarySize }) => binarySize !== undefined);
  if (!isBinary || encoding !== 'identity' || contentLength === undefined) return;
  const binary = inputs.reduce((sum, { binarySize = 0 }) => sum + binarySize, 0);
  const expected = (jsonBytes ?? contentLength) + binary;
  if (contentLength !== expected)
    throw invalid(`Expected a body of ${expected} bytes but Content-Length is ${contentLength}`);
}

/** A body without JSON: its shape has to follow from its size. Throws a Problem: 400. */
function rawHeader(live: LiveModel, { contentLength, encoding }: RequestHead): InferenceHeader {
  const [{ name, datatype, shape }, ...others] = live.metadata.inputs;
  if (others.length > 0)
    throw invalid(
      `A body without JSON (Inference-Header-Content-Length: 0) has one input, and the model has ${1 + others.length}`,
    );
  const open = shape.filter((size) => size === -1).length;
  if (open !== 1 || shape.length === 1)
    throw invalid(
      `A body without JSON (Inference-Header-Content-Length: 0) cannot say its shape, and the input \`${name}\` has the open shape [${shape.join(', ')}]`,
    );
  if (contentLength === undefined || encoding !== 'identity')
    throw invalid(
      'A body without JSON needs Content-Length and no Content-Encoding: its size says its shape',
    );
  const row = count(shape.filter((size) => size !== -1)) * elementSize(datatype);
  if (contentLength % row !== 0)
    throw invalid(`Expected a multiple of ${row} bytes for \`${name}\` but received ${contentLength}`);
  return {
    inputs: [
      {
        name,
        datatype,
        shape: shape.map((size) => (size === -1 ? contentLength / row : size)),
        binarySize: contentLength,
      },
    ],
    outputs: [],
    parameters: { binaryOutput: true },
  };
}

/** Sends an error. A connection that closes takes in the body first, since an unread one can cost the client the answer. */
async function refuse({ core, request, response }: Exchange, problem: Problem): Promise<void> {
  const close = endsConnection(request, core.lifecycle);
  if (close) await discardBody(request);
  sendProblem(response, problem, close);
}
