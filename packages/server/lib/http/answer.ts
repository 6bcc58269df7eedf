/** Answers of the protocol. */
import type { ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { constants, deflate, gzip } from 'node:zlib';
import type { AbortSignalLike } from 'tokenlearner';
import { datatypeOf, elementsOf } from '../datatypes';
import type { NamedTensor } from '../models/live-model';
import { VERSION } from '../models/served-model';
import { Problem } from '../problem';
import { jsonOfTensor, mostJsonBytes } from '../values';

/** The body of an answer: JSON, then the binary outputs over the tensors' own memory. */
export interface EncodedAnswer {
  json: Buffer;
  binary: readonly Buffer[];
}

/** Retry-After, in seconds. */
const RETRY_AFTER = '1';
const [BUSY, UNAVAILABLE] = [429, 503];

/**
 * Encodes an inference's outputs. `isBinary` says for each whether its elements come after the JSON. Throws a Problem, 413, if the others
 * could take more than `maxJsonBytes`: writing them would block the event loop.
 */
export function encodeAnswer(
  model: string,
  id: string | undefined,
  outputs: readonly NamedTensor[],
  isBinary: (name: string) => boolean,
  maxJsonBytes: number,
): EncodedAnswer {
  const most = outputs
    .filter(({ name }) => !isBinary(name))
    .reduce((sum, { tensor }) => sum + mostJsonBytes(tensor), 0);
  if (most > maxJsonBytes)
    throw new Problem(
      'too-large',
      `The outputs can take ${most} bytes as JSON, more than ${maxJsonBytes}; ask for binary data with the parameter "binary_data_output": true`,
    );
  const binary: Buffer[] = [];
  const parts = outputs.map(({ name, tensor }) => {
    const head = `"name":${JSON.stringify(name)},"datatype":"${datatypeOf(tensor.dtype)}","shape":[${tensor.shape.join(',')}]`;
    if (!isBinary(name)) return `{${head},"data":${jsonOfTensor(tensor)}}`;
    const bytes = elementsOf(tensor);
    binary.push(bytes);
    return `{${head},"parameters":{"binary_data_size":${bytes.length}}}`;
  });
  const echoed = id === undefined ? '' : `"id":${JSON.stringify(id)},`;
  const json = `{"model_name":"${model}","model_version":"${VERSION}",${echoed}"outputs":[${parts.join(',')}]}`;
  return { json: Buffer.from(json), binary };
}

const compressors = { gzip: promisify(gzip), deflate: promisify(deflate) };

/** The encoding that a client asks for by name; gzip before deflate. */
export function acceptedEncoding(accept: string | string[] | undefined): 'gzip' | 'deflate' | undefined {
  const offers = String(accept ?? '')
    .toLowerCase()
    .split(',')
    .map((each) => each.trim().split(/\s*;\s*/));
  const takes = (name: string): boolean =>
    offers.some(([offer, quality = 'q=1']) => offer === name && !/^q=0(?:\.0*)?$/.test(quality));
  return takes('gzip') ? 'gzip' : takes('deflate') ? 'deflate' : undefined;
}

/** How to send an answer. */
export interface Sending {
  encoding: 'gzip' | 'deflate' | undefined;
  /** Aborted when the client goes away. */
  signal: AbortSignalLike;
  /** True if the connection ends after the answer. */
  closes: () => boolean;
}

/** Sends an answer, compressed if the client asks for it. Throws the signal's reason if the client goes away meanwhile. */
export async function sendAnswer(
  response: ServerResponse,
  { json, binary }: EncodedAnswer,
  { encoding, signal, closes }: Sending,
): Promise<void> {
  const headers: Record<string, string | number> =
    binary.length === 0
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', 'inference-header-content-length': json.length };
  const parts = [json, ...binary];
  if (encoding === undefined) {
    send(response, 200, headers, parts, closes());
    return;
  }
  const body = await compressors[encoding](Buffer.concat(parts), { level: constants.Z_BEST_SPEED });
  // The caller chooses the reason.
  if (signal.aborted) throw signal.reason;
  send(response, 200, { ...headers, 'content-encoding': encoding }, [body], closes());
}

/** Sends an error in the protocol's form. Does nothing if the client has gone or has an answer already. */
export function sendProblem(response: ServerResponse, problem: Problem, close: boolean): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(JSON.stringify({ error: problem.message }));
  send(
    response,
    problem.http,
    {
      'content-type': 'application/json',
      ...(problem.http === BUSY || problem.http === UNAVAILABLE ? { 'retry-after': RETRY_AFTER } : {}),
    },
    [body],
    close,
  );
}

/** All parts in one write to the socket. */
function send(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | number>,
  parts: readonly Buffer[],
  close: boolean,
): void {
  response.writeHead(status, {
    ...headers,
    'content-length': parts.reduce((sum, part) => sum + part.length, 0),
    ...(close ? { connection: 'close' } : {}),
  });
  response.cork();
  for (const part of parts) response.write(part);
  response.end();
  response.uncork();
}
