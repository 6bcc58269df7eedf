/** What a request over HTTP/1.1 can get wrong: the status and the reason, and nothing is lost. */
import { deflateSync, gzipSync } from 'node:zlib';
import { Tensor } from 'tokenlearner';
import type { InferenceServer } from '@tokenlearner/server';
import {
  binaryMessage,
  bodyOf,
  CHANNELS,
  INFER,
  jsonInput,
  jsonMessage,
  type Message,
  metricsOf,
  post as send,
  RawClient,
  type Reply,
  smallModel,
  start,
  urlOf,
} from './support';

const model = smallModel();
const x = Tensor.randn([3, CHANNELS, 5, 7]);
const tokens = Array.from(model.forwardSync(x).data);

let server: InferenceServer;
beforeEach(async () => {
  server = await start({ models: { m: model }, grpcPort: false });
});

const post = (message: Message, path?: string): Promise<Reply> => send(server, message, path);
const input = (more?: object): object => jsonInput(x, more);

const size = x.byteLength;
describe('what a request gets wrong', () => {
  it.each<[string, Message, number, RegExp]>([
    ['no JSON', { head: {}, body: Buffer.from('{"inputs":[') }, 400, /not JSON/],
    ['an empty body', { head: {}, body: Buffer.alloc(0) }, 400, /not JSON/],
    ['no inputs', jsonMessage({}), 400, /array for `inputs`/],
    ['two inputs', jsonMessage({ inputs: [input(), input()] }), 400, /one input/],
    ['an unknown input', jsonMessage({ inputs: [input({ name: 'x' })] }), 400, /`input`/],
    ['another datatype', jsonMessage({ inputs: [input({ datatype: 'FP64' })] }), 400, /FP32/],
    [
      'a shape that does not fit',
      jsonMessage({ inputs: [input({ shape: [3, CHANNELS, 5, 8] })] }),
      400,
      /480 numbers/,
    ],
    ['another nesting', jsonMessage({ inputs: [input({ data: [[1, 2], [3]] })] }), 400, /nested data/],
    ['a negative size', jsonMessage({ inputs: [input({ shape: [-1, CHANNELS] })] }), 400, /at least 0/],
    ['a huge shape', jsonMessage({ inputs: [input({ shape: [1e15, 1e15] })] }), 400, /too large/],
    [
      'other channels',
      jsonMessage({ inputs: [{ name: 'input', shape: [1, 1, 1, 1], datatype: 'FP32', data: [1] }] }),
      400,
      /4 channels/,
    ],
    [
      'text among the numbers',
      jsonMessage({ inputs: [input({ data: ['a', ...Array.from(x.data).slice(1)] })] }),
      400,
      /index 0/,
    ],
    [
      'a number out of range',
      jsonMessage({ inputs: [input({ data: [1e300, ...Array.from(x.data).slice(1)] })] }),
      400,
      /out of range/,
    ],
    [
      'an unknown output',
      jsonMessage({ inputs: [input()], outputs: [{ name: 'y' }] }),
      400,
      /tokens, attention/,
    ],
    [
      'an output twice',
      jsonMessage({ inputs: [input()], outputs: [{ name: 'tokens' }, { name: 'tokens' }] }),
      400,
      /once/,
    ],
    [
      'shared memory',
      jsonMessage({ inputs: [input({ parameters: { shared_memory_region: 'r' } })] }),
      400,
      /shared_memory_region/,
    ],
    [
      'a classification',
      jsonMessage({ inputs: [input()], outputs: [{ name: 'tokens', parameters: { classification: 2 } }] }),
      400,
      /classification/,
    ],
    ['a sequence', jsonMessage({ inputs: [input()], parameters: { sequence_id: 3 } }), 400, /sequence_id/],
    ['a wrong timeout', jsonMessage({ inputs: [input()], parameters: { timeout: 'soon' } }), 400, /timeout/],
    ['half a timeout', jsonMessage({ inputs: [input()], parameters: { timeout: 0.5 } }), 400, /timeout/],
    ['a timeout below 0', jsonMessage({ inputs: [input()], parameters: { timeout: -1 } }), 400, /timeout/],
    ['deep nesting', { head: {}, body: Buffer.from('['.repeat(100_000)) }, 400, /deeper than 32/],
    [
      'a wrong binary size',
      binaryMessage(x, { parameters: { binary_data_size: size - 4 } }),
      400,
      /binary_data_size/,
    ],
    ['both kinds of data', binaryMessage(x, { data: [1] }), 400, /not both/],
    [
      'a JSON length that is no number',
      { ...binaryMessage(x), head: { 'Inference-Header-Content-Length': '-1' } },
      400,
      /Inference-Header-Content-Length/,
    ],
    [
      'a JSON length beyond the body',
      { ...binaryMessage(x), head: { 'Inference-Header-Content-Length': '99999' } },
      400,
      /99999/,
    ],
    [
      'too little binary data',
      { ...binaryMessage(x), body: binaryMessage(x).body.subarray(0, -8) },
      400,
      /Content-Length/,
    ],
    [
      'too much binary data',
      { ...binaryMessage(x), body: Buffer.concat([binaryMessage(x).body, Buffer.alloc(9)]) },
      400,
      /Content-Length/,
    ],
    [
      'no gzip',
      { ...binaryMessage(x), head: { ...binaryMessage(x).head, 'Content-Encoding': 'gzip' } },
      400,
      /not valid gzip/,
    ],
    [
      'truncated gzip',
      {
        head: { ...binaryMessage(x).head, 'Content-Encoding': 'gzip' },
        body: gzipSync(binaryMessage(x).body).subarray(0, -20),
      },
      400,
      /not valid gzip/,
    ],
    ['an unknown encoding', { ...binaryMessage(x), head: { 'Content-Encoding': 'br' } }, 415, /br/],
    [
      'an unknown media type',
      jsonMessage({ inputs: [input()] }, { 'Content-Type': 'text/html' }),
      415,
      /text\/html/,
    ],
  ])('%s', async (_, message, status, text) => {
    const reply = await post(message);
    expect(bodyOf(reply).error).toMatch(text);
    expect(reply.status).toBe(status);
    // The next request is none the worse for it.
    expect(bodyOf(await post(binaryMessage(x))).outputs[0]?.data).toEqual(tokens);
  });

  it('an unknown model, version, path or method', async () => {
    const message = binaryMessage(x);
    expect((await post(message, '/v2/models/n/infer')).status).toBe(404);
    expect((await post(message, '/v2/models/m/versions/9/infer')).status).toBe(404);
    expect((await post(message, '/v2/models/m/versions/1/infer')).status).toBe(200);
    expect((await post(message, '/elsewhere')).status).toBe(404);
    expect((await fetch(urlOf(server, INFER))).status).toBe(404);
  });
});

it.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
])(
  'refuses bytes behind %s data, wherever they come, and takes the next request',
  async (encoding, compress) => {
    const good = compress(JSON.stringify({ inputs: [input()] }));
    const head = (length: number): string =>
      `POST ${INFER} HTTP/1.1\r\nHost: t\r\nContent-Encoding: ${encoding}\r\nContent-Length: ${length}\r\n\r\n`;
    const client = new RawClient(server.address?.httpPort ?? 0);
    for (const rest of [Buffer.alloc(1, 1), Buffer.alloc(5), Buffer.alloc(300_000, 1)]) {
      await client.post(INFER, { head: { 'Content-Encoding': encoding }, body: Buffer.concat([good, rest]) });
      expect((await client.reply()).status).toBe(400);
      // The rest in a piece of its own.
      await client.send(Buffer.concat([Buffer.from(head(good.length + rest.length)), good]));
      await fetch(urlOf(server, '/v2'));
      await client.send(rest);
      expect((await client.reply()).status).toBe(400);
    }
    // The last bytes of the data in a piece of their own.
    await client.send(Buffer.concat([Buffer.from(head(good.length)), good.subarray(0, -2)]));
    await fetch(urlOf(server, '/v2'));
    await client.send(good.subarray(-2));
    expect((await client.reply()).status).toBe(200);
    client.close();
  },
);

it('takes the next request after one for the index whose body is too large', async () => {
  const client = new RawClient(server.address?.httpPort ?? 0);
  const index = '/v2/repository/index';
  await client.send(`POST ${index} HTTP/1.1\r\nHost: t\r\nContent-Length: 500000\r\n\r\n`);
  for (let i = 0; i < 5; i++) {
    await client.send(Buffer.alloc(100_000, 32));
    await fetch(urlOf(server, '/v2'));
  }
  expect((await client.reply()).status).toBe(413);
  await client.post(index, jsonMessage({}));
  expect(await client.reply()).toMatchObject({ status: 200 });
  client.close();
});

it('gives back the memory of what it refuses', async () => {
  const client = new RawClient(server.address?.httpPort ?? 0);
  for (let i = 0; i < 200; i++) {
    const { head, body } = binaryMessage(x);
    // The body lies about its end: one byte too many, found when all else was read.
    await client.send(`POST ${INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n`);
    await client.send(
      `Inference-Header-Content-Length: ${head['Inference-Header-Content-Length'] ?? ''}\r\n\r\n`,
    );
    await client.send(
      Buffer.concat([
        Buffer.from(`${(body.length + 1).toString(16)}\r\n`),
        body,
        Buffer.from('!\r\n0\r\n\r\n'),
      ]),
    );
    expect((await client.reply()).status).toBe(400);
  }
  client.close();
  const metrics = await metricsOf(server);
  expect(metrics).toContain('tokenlearner_requests_under_way{model="m",version="1"} 0');
  expect(metrics).toContain('nv_inference_request_failure{model="m",version="1",reason="OTHER"} 200');
});
