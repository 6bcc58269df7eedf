/**
 * Malformed requests, the same ones in every run: each gets the right status or a closed connection; nothing crashes or leaks.
 * `npm run test:soak` sets TOKENLEARNER_SOAK, for the long form.
 */
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import path from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { Tensor } from 'tokenlearner';
import type { InferenceServer } from '@tokenlearner/server';
import {
  binaryMessage,
  binaryReply,
  bytes,
  CHANNELS,
  INFER,
  jsonInput,
  type Message,
  metricsOf,
  RawClient,
  smallModel,
  start,
} from './support';

const COUNT = process.env.TOKENLEARNER_SOAK === undefined ? 2000 : 30_000;
const AT_A_TIME = 8;
const MAX_BYTES = 2 ** 20;
/** The most that memory may grow from the first quarter of the run to its end, in bytes. */
const MOST_GROWTH = 64 * 2 ** 20;

const model = smallModel();
const x = Tensor.randn([1, CHANNELS, 3, 3]);
const good = binaryMessage(x, {}, { parameters: { binary_data_output: true } });

/** A generator of numbers from 0 to `below` - 1, the same in every run. */
type Below = (below: number) => number;
function random(seed: number): Below {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const noise = (below: Below, length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));

function pick<T>(below: Below, values: readonly T[]): T {
  return values[below(values.length)] as T;
}

const json = (value: unknown, head: Record<string, string> = {}): Message => ({
  head: { 'Content-Type': 'application/json', ...head },
  body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
});

const request = (input: object, more: object = {}): Message =>
  json({ inputs: [jsonInput(x, input)], ...more });

/** What a request sends, and the answers that are right. `ends`: the client closes its side after it. */
interface Case {
  send: Message | string | Buffer;
  path?: string;
  right: readonly (number | 'closed')[];
  ends?: boolean;
}

const BOMB = gzipSync(Buffer.alloc(4 * MAX_BYTES));

const HTTP: readonly ((below: Below) => Case)[] = [
  // Sizes that lie.
  (below) => ({
    send: binaryMessage(x, { parameters: { binary_data_size: below(1000) * 4 + 1 } }),
    right: [400],
  }),
  (below) => ({ send: binaryMessage(x, { shape: [1, CHANNELS, 3, 4 + below(1e6)] }), right: [400, 413] }),
  (below) => ({
    send: {
      ...good,
      head: { 'Inference-Header-Content-Length': String(1 + below(good.body.length - x.byteLength - 1)) },
    },
    right: [400],
  }),
  (below) => ({
    send: {
      ...good,
      head: {
        'Inference-Header-Content-Length': pick(below, ['-1', 'x', '1e3', '', '99999999999999999999', '1.5']),
      },
    },
    right: [400],
  }),
  (below) => ({
    send: { ...good, head: { ...good.head, 'Content-Length': String(MAX_BYTES + 1 + below(1e9)) } },
    right: [413],
  }),
  // A body that ends too early: nobody is there for the answer.
  (below) => ({
    send: {
      head: { ...good.head, 'Content-Length': String(good.body.length) },
      body: good.body.subarray(0, below(good.body.length)),
    },
    right: [400, 'closed'],
    ends: true,
  }),
  (below) => ({
    send: { ...good, head: { ...good.head, 'Content-Length': String(good.body.length + 1 + below(50)) } },
    right: [400, 'closed'],
    ends: true,
  }),
  // What the model does not take.
  (below) => ({
    send: request({ datatype: pick(below, ['FP64', 'FP16', 'INT8', 'BYTES', '', 'fp32']) }),
    right: [400],
  }),
  (below) => ({
    send: request({
      shape: pick(below, [[], [-1], [1.5], [2 ** 60, 2 ** 60], [1, CHANNELS, 3], ['3'], [null]]),
    }),
    right: [400],
  }),
  (below) => ({ send: request({ name: pick(below, ['x', '', 'INPUT', '__proto__']) }), right: [400] }),
  (below) => ({
    send: request({
      data: pick(below, [null, 'x', {}, [], [[1], [2]], ['1'], Array(36).fill(null), [1e39]]),
    }),
    right: [400],
  }),
  () => ({
    send: binaryMessage(Tensor.ones([1, CHANNELS + 1, 3, 3])),
    right: [400],
  }),
  (below) => ({
    send: request(
      {},
      {
        outputs: pick<unknown>(below, ['x', [{}], [{ name: 'x' }], [{ name: 'tokens' }, { name: 'tokens' }]]),
      },
    ),
    right: [400],
  }),
  (below) => ({
    send: request(
      {},
      { parameters: pick<unknown>(below, [[], { timeout: -1 }, { priority: 9 }, { sequence_id: 1 }]) },
    ),
    right: [400],
  }),
  // Not the JSON of a request.
  (below) => ({
    send: json(
      pick(below, ['', '{', '[]', 'null', '"x"', '{"inputs":{}}', '{"inputs":[]}', '{"inputs":[1]}']),
    ),
    right: [400],
  }),
  (below) => ({
    send: json(`{"inputs":${'['.repeat(40 + below(10_000))}`),
    right: [400],
  }),
  (below) => ({ send: json(noise(below, 1 + below(200)).toString('latin1')), right: [400] }),
  // Encodings.
  () => ({ send: { head: { 'Content-Encoding': 'gzip' }, body: BOMB }, right: [413] }),
  (below) => ({
    send: { head: { 'Content-Encoding': pick(below, ['gzip', 'deflate']) }, body: noise(below, 50) },
    right: [400],
  }),
  (below) => ({
    send: {
      head: { 'Content-Encoding': 'gzip' },
      body: gzipSync(request({}).body).subarray(0, 20 + below(20)),
    },
    right: [400],
  }),
  (below) => ({
    send: {
      ...good,
      head: { ...good.head, 'Content-Encoding': pick(below, ['br', 'zstd', 'x', 'gzip, gzip']) },
    },
    right: [415],
  }),
  (below) => ({
    send: json({}, { 'Content-Type': pick(below, ['text/xml', 'image/png', 'x/y']) }),
    right: [415],
  }),
  // Paths and header fields.
  (below) => ({
    send: good,
    path: pick(below, [
      '/v2/models/none/infer',
      '/v2/models/m/versions/2/infer',
      '/v2/models/%2e%2e/infer',
      '/x',
    ]),
    right: [404],
  }),
  (below) => ({
    send: good,
    path: pick(below, ['/v2/models/%/infer', '/v2/models/m/%zz']),
    right: [400, 404],
  }),
  (below) => ({
    send: { ...good, head: { ...good.head, X: 'a'.repeat(20_000 + below(9000)) } },
    right: [431],
  }),
  (below) => ({
    send: `POST ${INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n${pick(below, ['x', 'fffffffffffffffff', '-1', '5\r\nab'])}\r\n\r\n`,
    right: [400, 'closed'],
    ends: true,
  }),
  (below) => ({
    send: pick(below, [
      'GET / HTTP/9.9\r\n\r\n',
      `POST ${INFER} HTTP/1.1\r\n\r\n`,
      `POST ${INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\n`,
      `POST ${INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`,
      `POST ${INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nabcdef`,
    ]),
    right: [400, 'closed'],
    ends: true,
  }),
  (below) => ({ send: noise(below, 1 + below(300)), right: [400, 'closed'], ends: true }),
];

async function httpAnswer(
  port: number,
  { send, path: target = INFER, ends }: Case,
): Promise<number | 'closed'> {
  const client = new RawClient(port);
  try {
    if (typeof send === 'string' || Buffer.isBuffer(send)) await client.send(send);
    else await client.post(target, send);
    if (ends === true) client.socket.end();
    return (await client.reply()).status;
  } catch {
    return 'closed';
  } finally {
    client.close();
  }
}

const PROTO = path.join(__dirname, '..', 'proto', 'grpc_predict_v2.proto');
const { ModelInfer } = loadSync(PROTO, { keepCase: true })[
  'inference.GRPCInferenceService'
] as ServiceDefinition;
const METHOD = '/inference.GRPCInferenceService/ModelInfer';

/** A message with its frame: whether it is compressed, and its length. */
function frame(message: Buffer, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

function grpcMessage(input: object, more: object = {}): Buffer {
  const whole = {
    model_name: 'm',
    inputs: [{ name: 'input', datatype: 'FP32', shape: x.shape, ...input }],
    raw_input_contents: [bytes(x)],
    ...more,
  };
  return (ModelInfer as { requestSerialize: (value: object) => Buffer }).requestSerialize(whole);
}

interface GrpcCase {
  body: Buffer;
  method?: string;
  right: readonly number[];
}

const [INVALID, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED, INTERNAL] = [3, 5, 8, 12, 13];

const GRPC: readonly ((below: Below) => GrpcCase)[] = [
  (below) => ({
    body: frame(grpcMessage({}, { raw_input_contents: [noise(below, below(143))] })),
    right: [INVALID],
  }),
  (below) => ({
    body: frame(grpcMessage({ datatype: pick(below, ['FP64', '', 'BYTES']) })),
    right: [INVALID],
  }),
  (below) => ({
    body: frame(grpcMessage({ shape: pick(below, [[], [-1], [1, 2, 3, 4], [2 ** 40, 2 ** 40]]) })),
    right: [INVALID],
  }),
  () => ({ body: frame(grpcMessage({}, { inputs: [] })), right: [INVALID] }),
  () => ({ body: frame(grpcMessage({ name: 'x' })), right: [INVALID] }),
  (below) => ({
    body: frame(grpcMessage({}, { model_name: pick(below, ['none', '', '../m']) })),
    right: [NOT_FOUND],
  }),
  // Not protobuf: an unknown field of a wire type that does not exist.
  (below) => ({
    body: frame(Buffer.concat([grpcMessage({}), Buffer.of(pick(below, [0x7e, 0x7f]), below(100))])),
    right: [INTERNAL],
  }),
  // A compressed message on a call without compression. This gRPC takes it as it is.
  () => ({ body: frame(grpcMessage({}), 1), right: [0, INTERNAL] }),
  (below) => ({ body: frame(grpcMessage({}), 0, MAX_BYTES + 1 + below(2 ** 30)), right: [EXHAUSTED] }),
  // The stream ends within a message, or without one.
  (below) => ({ body: frame(grpcMessage({})).subarray(0, below(100)), right: [INTERNAL, UNIMPLEMENTED] }),
  () => ({
    body: frame(grpcMessage({})),
    method: '/inference.GRPCInferenceService/None',
    right: [UNIMPLEMENTED],
  }),
];

/** The status of one call; -1 if the stream ends without one. */
function grpcAnswer(session: ClientHttp2Session, { body, method = METHOD }: GrpcCase): Promise<number> {
  return new Promise((resolve) => {
    const call = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status = -1;
    const take = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status']);
    };
    call.on('response', take).on('trailers', take);
    call
      .on('error', () => undefined)
      .on('close', () => {
        resolve(status);
      });
    call.resume();
    call.end(body);
  });
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
async function residentSize(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage.rss();
}

/** The server still answers, and has forgotten nothing. */
async function checkServer(server: InferenceServer): Promise<void> {
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.post(INFER, good);
  expect(binaryReply(await client.reply()).binary).toEqual(bytes(model.forwardSync(x)));
  client.close();
  const metrics = await metricsOf(server);
  expect(metrics).toContain('nv_inference_pending_request_count{model="m",version="1"} 0');
}

it(`${COUNT} of them`, async () => {
  const server = await start({ models: { m: model }, maxRequestBytes: MAX_BYTES });
  const { httpPort = 0, grpcPort } = server.address ?? {};
  const session = connectHttp2(`http://127.0.0.1:${grpcPort ?? 0}`);
  const below = random(11);
  const wrong: unknown[] = [];
  let next = 0;
  let early = 0;
  const worker = async (): Promise<void> => {
    while (next < COUNT) {
      const index = next++;
      if (index === Math.floor(COUNT / 4)) early = await residentSize();
      const which = index % (HTTP.length + GRPC.length);
      const http = HTTP[which]?.(below);
      const grpc = GRPC[which - HTTP.length]?.(below);
      const got = http ? await httpAnswer(httpPort, http) : grpc && (await grpcAnswer(session, grpc));
      const right: readonly unknown[] = (http ?? grpc)?.right ?? [];
      if (!right.includes(got)) wrong.push({ which, got, right });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  const late = await residentSize();
  session.destroy();
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(late - early).toBeLessThan(MOST_GROWTH);
  await checkServer(server);
}, 900_000);
