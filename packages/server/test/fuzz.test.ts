/** Malformed requests: each gets an answer or a closed connection, and the server goes on. */
import fc from 'fast-check';
import { Tensor } from 'tokenlearner';
import type { InferenceServer } from '@tokenlearner/server';
import {
  binaryMessage,
  binaryReply,
  bytes,
  CHANNELS,
  INFER,
  metricsOf,
  RawClient,
  smallModel,
  start,
} from './support';

const RUNS = 150;
const model = smallModel();
const x = Tensor.randn([1, CHANNELS, 3, 3]);
const good = binaryMessage(x, {}, { parameters: { binary_data_output: true } });

let server: InferenceServer;
let client: RawClient;
beforeEach(async () => {
  server = await start({ models: { m: model }, grpcPort: false });
  client = new RawClient(server.address?.httpPort ?? 0);
});

/** The server still answers, and has forgotten nothing. */
async function checkServer(): Promise<void> {
  client.close();
  const last = new RawClient(server.address?.httpPort ?? 0);
  await last.post(INFER, good);
  expect(binaryReply(await last.reply()).binary).toEqual(bytes(model.forwardSync(x)));
  last.close();
  const metrics = await metricsOf(server);
  expect(metrics).toContain('tokenlearner_requests_under_way{model="m",version="1"} 0');
}

/** The statuses that a malformed request may get: never 500. */
const ALLOWED = [200, 400, 404, 408, 413, 415, 431, 505];

async function statusOf(data: Buffer): Promise<number | 'closed'> {
  if (client.closed || client.socket.destroyed) client = new RawClient(server.address?.httpPort ?? 0);
  await client.send(data);
  client.socket.end();
  try {
    return (await client.reply()).status;
  } catch {
    return 'closed';
  } finally {
    client.close();
  }
}

const raw = (head: Record<string, string>, body: Buffer): Buffer => {
  const lines = Object.entries({ Host: 't', 'Content-Length': String(body.length), ...head });
  return Buffer.concat([
    Buffer.from(
      `POST ${INFER} HTTP/1.1\r\n${lines.map(([key, value]) => `${key}: ${value}\r\n`).join('')}\r\n`,
    ),
    body,
  ]);
};

it('JSON of any content', async () => {
  const input = fc.record(
    {
      name: fc.oneof(fc.constant('input'), fc.jsonValue()),
      shape: fc.oneof(fc.array(fc.integer()), fc.jsonValue()),
      datatype: fc.oneof(fc.constant('FP32'), fc.jsonValue()),
      data: fc.jsonValue(),
      parameters: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const request = fc.record(
    {
      id: fc.jsonValue(),
      inputs: fc.oneof(fc.array(input, { maxLength: 2 }), fc.jsonValue()),
      outputs: fc.jsonValue(),
      parameters: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(request, fc.jsonValue()), async (value) => {
      expect(ALLOWED).toContain(await statusOf(raw({}, Buffer.from(JSON.stringify(value)))));
    }),
    { numRuns: RUNS },
  );
  await checkServer();
});

it('a good request with damaged bytes', async () => {
  const whole = raw(good.head, good.body);
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(damage, async (changes) => {
      const damaged = Buffer.from(whole);
      for (const [at, value] of changes) damaged[at] = value;
      expect([...ALLOWED, 'closed']).toContain(await statusOf(damaged));
    }),
    { numRuns: RUNS },
  );
  await checkServer();
});

it('wrong lengths and encodings', async () => {
  const head = fc.record(
    {
      'Inference-Header-Content-Length': fc.oneof(
        fc.nat(2000).map(String),
        fc.string({ maxLength: 5 }).map((text) => text.replace(/[^ -~]/g, '')),
      ),
      'Content-Encoding': fc.constantFrom('gzip', 'deflate', 'br', 'identity', ''),
      'Content-Type': fc.constantFrom('application/json', 'application/octet-stream', 'text/xml', ';', ''),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(head, fc.uint8Array({ maxLength: 200 }), async (fields, body) => {
      expect([...ALLOWED, 'closed']).toContain(await statusOf(raw(fields, Buffer.from(body))));
    }),
    { numRuns: RUNS },
  );
  await checkServer();
});

it('bytes that are not HTTP', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (body) => {
      expect([...ALLOWED, 'closed']).toContain(await statusOf(Buffer.from(body)));
    }),
    { numRuns: RUNS },
  );
  await checkServer();
});
