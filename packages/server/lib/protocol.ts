/** The JSON of an inference request and of its answer, checked. */
import { randomUUID } from 'node:crypto';
import { LONGEST_DELAY } from './check';
import { type NumbersInJson, scanJson } from './json-scan';
import { invalid } from './problem';

/** One input as the request describes it. */
export interface InputHeader {
  name: string;
  datatype: string;
  shape: number[];
  /** The bytes of its data after the JSON; undefined if the data is in the JSON. */
  binarySize?: number;
  /** Flat or nested: of JSON, or JsonNumbers. */
  data?: unknown;
}

export interface OutputHeader {
  name: string;
  /** Undefined if the request does not say it for this output. */
  binary?: boolean;
}

/** What a request's parameters may choose. */
export interface RequestParameters {
  /** True if all outputs are binary that do not say otherwise. */
  binaryOutput: boolean;
  /** In milliseconds. */
  timeoutMs?: number;
  priority?: number;
}

export interface InferenceHeader {
  id?: string;
  inputs: InputHeader[];
  outputs: OutputHeader[];
  parameters: RequestParameters;
}

type Json = Record<string, unknown>;

/** Parameters of other servers that would change the result and that this one does not have. */
const REFUSED = [
  'classification',
  'sequence_id',
  'sequence_start',
  'sequence_end',
  'shared_memory_region',
  'shared_memory_byte_size',
  'shared_memory_offset',
];
const MICROSECONDS = 1000;
const MOST_TENSORS = 64;

/** Stands for long arrays of numbers in what JSON.parse gets. */
const NUMBERS = `numbers ${randomUUID()} `;

/** Parses JSON. Long arrays of numbers under the key `data` of an input become JsonNumbers. Throws a Problem: 400. */
export function parseJson(bytes: Buffer, maxDepth: number): unknown {
  const found = scanJson(bytes, maxDepth);
  const values = new Map<unknown, NumbersInJson>();
  let text = '';
  let from = 0;
  for (const each of found) {
    const name = `${NUMBERS}${values.size}`;
    values.set(name, each);
    text += `${bytes.toString('utf8', from, each.start)}"${name}"`;
    from = each.end;
  }
  text += bytes.toString('utf8', from);
  try {
    const json = JSON.parse(text) as unknown;
    if (values.size > 0) putBack(json, values);
    // Nobody reads these, and so nobody else checks them.
    for (const { start, end } of values.values()) JSON.parse(bytes.toString('latin1', start, end));
    return json;
  } catch (error) {
    throw invalid(`The request is not JSON: ${(error as Error).message}`);
  }
}

/** Moves the numbers into the inputs of a request. */
function putBack(json: unknown, values: Map<unknown, NumbersInJson>): void {
  const { inputs } = Object(json) as Json;
  if (!Array.isArray(inputs)) return;
  for (const input of inputs as unknown[]) {
    const { data } = Object(input) as Json;
    const found = values.get(data);
    if (found === undefined) continue;
    (input as Json).data = found.numbers;
    values.delete(data);
  }
}

function object(name: string, value: unknown): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw invalid(`Expected an object for \`${name}\``);
}

function text(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw invalid(`Expected a string for \`${name}\``);
}

function list(name: string, value: unknown): unknown[] {
  if (!Array.isArray(value)) throw invalid(`Expected an array for \`${name}\``);
  if (value.length > MOST_TENSORS) throw invalid(`Expected at most ${MOST_TENSORS} entries in \`${name}\``);
  return value as unknown[];
}

function size(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`Expected an integer of at least 0 for \`${name}\``);
}

/** A request's `timeout` in milliseconds; undefined for 0. A longer time than timers have is the longest. */
function timeoutOf(value: unknown): number | undefined {
  // gRPC's integers of 64 bits have come as numbers, which hold large ones only nearly.
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
    throw invalid('Expected an integer of at least 0 for `parameters.timeout`');
  return value === 0 ? undefined : Math.min(LONGEST_DELAY, value / MICROSECONDS);
}

function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw invalid(`Expected true or false for \`${name}\``);
}

/** Sizes of a tensor, from JSON or from gRPC. Throws a Problem: 400. */
export function checkSizes(name: string, shape: readonly unknown[]): number[] {
  if (shape.length > MOST_TENSORS)
    throw invalid(`Expected at most ${MOST_TENSORS} dimensions for \`${name}\``);
  return shape.map((each) => size(name, each));
}

function parameters(name: string, value: unknown): Json {
  if (value === undefined || value === null) return {};
  const given = object(name, value);
  refuseParameters(name, Object.keys(given));
  return given;
}

/** Refuses parameters that would change the result. Others are for the client's own use. */
export function refuseParameters(name: string, keys: readonly string[]): void {
  const refused = keys.find((key) => REFUSED.includes(key));
  if (refused !== undefined) throw invalid(`This server has no \`${refused}\` (in \`${name}\`)`);
}

function inputHeader(value: unknown, index: number): InputHeader {
  const where = `inputs[${index}]`;
  const { name, shape, datatype, data, parameters: given } = object(where, value);
  const { binary_data_size: binarySize } = parameters(`${where}.parameters`, given);
  if (binarySize !== undefined && data !== undefined)
    throw invalid(`Expected either \`data\` or \`binary_data_size\` for \`${where}\`, not both`);
  return {
    name: text(`${where}.name`, name),
    datatype: text(`${where}.datatype`, datatype),
    shape: checkSizes(`${where}.shape`, list(`${where}.shape`, shape)),
    ...(binarySize === undefined
      ? { data }
      : { binarySize: size(`${where}.parameters.binary_data_size`, binarySize) }),
  };
}

function outputHeader(value: unknown, index: number): OutputHeader {
  const where = `outputs[${index}]`;
  const { name, parameters: given } = object(where, value);
  const { binary_data: binary } = parameters(`${where}.parameters`, given);
  return {
    name: text(`${where}.name`, name),
    ...(binary === undefined ? {} : { binary: flag(`${where}.parameters.binary_data`, binary) }),
  };
}

/**
 * The parameters that a request may choose: `timeout` in microseconds (0 is none) and `priority`, as in Triton. The names are the same
 * in JSON and in gRPC.
 */
export function requestParameters(given: Json): RequestParameters {
  const { binary_data_output: binary, timeout, priority } = given;
  const timeoutMs = timeout === undefined ? undefined : timeoutOf(timeout);
  return {
    binaryOutput: binary !== undefined && flag('parameters.binary_data_output', binary),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(priority === undefined ? {} : { priority: size('parameters.priority', priority) }),
  };
}

/** Checks the JSON of a request. Throws a Problem: 400. */
export function inferenceHeader(json: unknown): InferenceHeader {
  const { id, inputs, outputs, parameters: given } = object('the request', json);
  return {
    ...(id === undefined || id === null ? {} : { id: text('id', id) }),
    inputs: list('inputs', inputs).map(inputHeader),
    outputs: outputs === undefined || outputs === null ? [] : list('outputs', outputs).map(outputHeader),
    parameters: requestParameters(parameters('parameters', given)),
  };
}
