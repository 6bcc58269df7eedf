/** The protocol over HTTP/1.1, by clients that know the protocol alone. */
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { Linear, Tensor, TokenLearner } from 'tokenlearner';
import type { InferenceServer } from '@tokenlearner/server';
import {
  binaryMessage,
  binaryReply,
  bodyOf,
  bytes,
  CHANNELS,
  floats,
  GROUPS,
  INFER,
  jsonInput,
  jsonMessage,
  type Message,
  post as send,
  RawClient,
  type Reply,
  smallModel,
  start,
  urlOf,
} from './support';

const model = smallModel();
const x = Tensor.randn([3, CHANNELS, 5, 7]);
const expected = model.forwardSync(x, { returnAttention: true });
const tokens = Array.from(expected.tokens.data);
const attention = Array.from(expected.attention.data);

let server: InferenceServer;
beforeEach(async () => {
  server = await start({ models: { m: model }, grpcPort: false });
});

async function get(path: string): Promise<{ status: number; json: unknown }> {
  const response = await fetch(urlOf(server, path));
  return { status: response.status, json: await response.json() };
}

const post = (message: Message, path?: string): Promise<Reply> => send(server, message, path);
const input = (more?: object): object => jsonInput(x, more);

it('tells its health, with and without models', async () => {
  expect(await get('/v2/health/live')).toEqual({ status: 200, json: { live: true, ready: true } });
  expect(await get('/v2/health/ready')).toEqual({ status: 200, json: { live: true, ready: true } });
  expect(await get('/v2/models/m/ready')).toMatchObject({ status: 200, json: { name: 'm', ready: true } });
  expect(await get('/v2/models/m/versions/1/ready')).toMatchObject({ status: 200 });
  expect(await get('/v2/models/m/versions/2/ready')).toMatchObject({ status: 404 });
  expect(await get('/v2/models/other/ready')).toMatchObject({
    status: 404,
    json: { error: expect.any(String) as string },
  });
});

it('describes itself and its models', async () => {
  expect(await get('/v2')).toMatchObject({
    json: { name: 'tokenlearner', extensions: ['binary_tensor_data', 'statistics', 'model_repository'] },
  });
  const metadata = {
    name: 'm',
    versions: ['1'],
    platform: 'tokenlearner',
    inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, CHANNELS, -1, -1] }],
    outputs: [
      { name: 'tokens', datatype: 'FP32', shape: [-1, CHANNELS, GROUPS] },
      { name: 'attention', datatype: 'FP32', shape: [-1, GROUPS, -1, -1] },
    ],
    parameters: { batched: true },
  };
  expect((await get('/v2/models/m')).json).toEqual(metadata);
  expect((await get('/v2/models/m/versions/1')).json).toEqual(metadata);
});

it('answers JSON, flat and nested, with the id and tokens alone', async () => {
  for (const data of [Array.from(x.data), x.toArray()]) {
    const reply = await post(jsonMessage({ id: 'a "1"', inputs: [input({ data })] }));
    expect(reply).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(bodyOf(reply)).toEqual({
      model_name: 'm',
      model_version: '1',
      id: 'a "1"',
      outputs: [{ name: 'tokens', datatype: 'FP32', shape: [3, CHANNELS, GROUPS], data: tokens }],
    });
  }
  expect(bodyOf(await post(jsonMessage({ inputs: [input()] })))).not.toHaveProperty('id');
});

it('takes requests without a content type', async () => {
  const { body } = jsonMessage({ inputs: [input()] });
  expect(await post({ head: {}, body })).toMatchObject({ status: 200 });
});

it('gives the outputs that are named, tokens first', async () => {
  const named = async (...names: string[]): Promise<string[]> =>
    bodyOf(
      await post(jsonMessage({ inputs: [input()], outputs: names.map((name) => ({ name })) })),
    ).outputs.map(({ name }) => name);
  expect(await named('attention', 'tokens')).toEqual(['tokens', 'attention']);
  expect(await named('attention')).toEqual(['attention']);
});

it('takes and gives binary data, bit for bit', async () => {
  const { json, binary } = binaryReply(
    await post(
      binaryMessage(
        x,
        {},
        {
          id: 'b',
          parameters: { binary_data_output: true },
          outputs: [{ name: 'attention' }, { name: 'tokens' }],
        },
      ),
    ),
  );
  const [first, second] = [4 * tokens.length, 4 * attention.length];
  expect(json.id).toBe('b');
  expect(json.outputs).toEqual([
    {
      name: 'tokens',
      datatype: 'FP32',
      shape: [3, CHANNELS, GROUPS],
      parameters: { binary_data_size: first },
    },
    {
      name: 'attention',
      datatype: 'FP32',
      shape: [3, GROUPS, 5, 7],
      parameters: { binary_data_size: second },
    },
  ]);
  expect(binary).toEqual(Buffer.concat([bytes(expected.tokens), bytes(expected.attention)]));
});

it('mixes binary and JSON outputs', async () => {
  const outputs = [
    { name: 'tokens', parameters: { binary_data: false } },
    { name: 'attention', parameters: { binary_data: true } },
  ];
  const { json, binary } = binaryReply(await post(binaryMessage(x, {}, { outputs })));
  expect(json.outputs[0]?.data).toEqual(tokens);
  expect(floats(binary)).toEqual(attention);
});

it.each([1, 7, 100, 1000])('puts a body together that arrives in pieces of %d bytes', async (size) => {
  const { head, body } = binaryMessage(x);
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.send(`POST ${INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n`);
  await client.send(
    `Inference-Header-Content-Length: ${head['Inference-Header-Content-Length'] ?? ''}\r\n\r\n`,
  );
  for (let i = 0; i < body.length; i += size) {
    const part = body.subarray(i, i + size);
    await client.send(
      Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
    );
  }
  await client.send('0\r\n\r\n');
  expect(bodyOf(await client.reply()).outputs[0]?.data).toEqual(tokens);
  client.close();
});

it.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
] as const)('inflates %s; the length of the JSON is that before compression', async (encoding, compress) => {
  const { head, body } = binaryMessage(x);
  const reply = await post({ head: { ...head, 'Content-Encoding': encoding }, body: compress(body) });
  expect(bodyOf(reply).outputs[0]?.data).toEqual(tokens);
});

it.each([
  ['gzip', gunzipSync],
  ['deflate', inflateSync],
] as const)('compresses its answer with %s for a client that asks', async (encoding, inflate) => {
  const { head, body } = binaryMessage(x, {}, { parameters: { binary_data_output: true } });
  const reply = await post({ head: { ...head, 'Accept-Encoding': encoding }, body });
  expect(reply.headers['content-encoding']).toBe(encoding);
  const { binary } = binaryReply({ ...reply, body: inflate(reply.body) });
  expect(floats(binary)).toEqual(tokens);
});

it('uses one connection for many requests, also after an error', async () => {
  const client = new RawClient(server.address?.httpPort ?? 0);
  for (let i = 0; i < 3; i++) {
    await client.post(INFER, binaryMessage(x));
    expect(bodyOf(await client.reply()).outputs[0]?.data).toEqual(tokens);
    await client.post(INFER, binaryMessage(x, { datatype: 'FP16' }));
    expect((await client.reply()).status).toBe(400);
  }
  client.close();
});

it('gives and takes numbers that JSON has no form for', async () => {
  const data = Array.from(x.data) as unknown[];
  data[0] = 'NaN';
  data[1] = 'Infinity';
  const [output] = bodyOf(await post(jsonMessage({ inputs: [input({ data })] }))).outputs;
  expect(output?.data).toContain('NaN');
  expect(output?.data?.slice(-CHANNELS * GROUPS)).toEqual(tokens.slice(-CHANNELS * GROUPS));
});

it.each([
  ['float16', 'FP16', [65_519, -65_519], 65_520],
  ['bfloat16', 'BF16', [3.39e38, -3.39e38], -3.4e38],
] as const)('refuses numbers that are infinite in %s', async (dtype, datatype, taken, refused) => {
  const narrow = new TokenLearner({ dim: 1, numOutputTokens: 1, dtype, device: 'cpu' });
  const other = await start({ models: { m: narrow }, grpcPort: false });
  const ask = (...numbers: unknown[]): Promise<Reply> => {
    const data = [...numbers, 'Infinity', 'NaN'];
    const request = { inputs: [{ name: 'input', shape: [1, 1, data.length], datatype, data }] };
    return send(other, jsonMessage(request));
  };
  expect((await ask(...taken)).status).toBe(200);
  const reply = await ask(...taken, refused);
  expect(reply.status).toBe(400);
  expect(bodyOf(reply).error).toMatch(/at index 2 of `input` is out of range/);
  // Long arrays of numbers alone are read in another way.
  const data = Array.from({ length: 1000 }, (_, i) => (i === 700 ? refused : 1));
  const long = jsonMessage({ inputs: [{ name: 'input', shape: [1, 1, data.length], datatype, data }] });
  expect(bodyOf(await send(other, long)).error).toMatch(/at index 700 of `input` is out of range/);
});

it('finds a model by the longest name that it may have', async () => {
  const name = 'm'.repeat(128);
  const other = await start({ models: { [name]: model }, grpcPort: false });
  expect((await fetch(urlOf(other, `/v2/models/${name}`))).status).toBe(200);
});

it('takes a timeout that is longer than timers have', async () => {
  for (const timeout of [2 ** 50, 2 ** 63]) {
    const reply = await send(server, binaryMessage(x, {}, { parameters: { timeout } }));
    expect(reply.status).toBe(200);
  }
});

it('takes 16-bit floats', async () => {
  for (const [dtype, datatype] of [
    ['float16', 'FP16'],
    ['bfloat16', 'BF16'],
  ] as const) {
    const half = smallModel().to(dtype);
    const other = await start({ models: { h: half }, grpcPort: false });
    const input16 = Tensor.randn([1, CHANNELS, 3, 3], { dtype });
    const message = binaryMessage(
      input16 as unknown as Tensor,
      { datatype },
      { parameters: { binary_data_output: true } },
    );
    const client = new RawClient(other.address?.httpPort ?? 0);
    await client.post('/v2/models/h/infer', message);
    const { json, binary } = binaryReply(await client.reply());
    client.close();
    expect(json.outputs[0]?.datatype).toBe(datatype);
    expect(binary).toEqual(bytes(half.forwardSync(input16) as unknown as Tensor));
  }
});

describe('a body without JSON', () => {
  const raw = (body: Buffer): Message => ({ head: { 'Inference-Header-Content-Length': '0' }, body });

  it('is refused where its shape cannot be known', async () => {
    const reply = await post(raw(bytes(x)));
    expect(reply.status).toBe(400);
    expect(bodyOf(reply).error).toContain('cannot say its shape');
  });

  it('is taken where its size says its shape', async () => {
    const linear = new Linear(6, 2, { device: 'cpu' });
    server = await start({ models: { l: linear }, grpcPort: false });
    expect((await get('/v2/models/l')).json).toMatchObject({
      inputs: [{ shape: [-1, 6] }],
      outputs: [{ name: 'output' }],
    });
    const rows = Tensor.randn([4, 6]);
    const { json, binary } = binaryReply(await post(raw(bytes(rows)), '/v2/models/l/infer'));
    expect(json.outputs[0]).toMatchObject({ name: 'output', shape: [4, 2] });
    expect(binary).toEqual(bytes(linear.forwardSync(rows)));
    expect((await post(raw(Buffer.alloc(25)), '/v2/models/l/infer')).status).toBe(400);
  });
});
