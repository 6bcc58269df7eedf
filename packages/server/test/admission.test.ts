/** What is refused before its body is read, what is cancelled, and what happens at the end. */
import dns from 'node:dns/promises';
import { once } from 'node:events';
import { Tensor } from 'tokenlearner';
import {
  binaryMessage,
  bodyOf,
  CHANNELS,
  Gate,
  GROUPS,
  INFER,
  metricsOf,
  post,
  RawClient,
  type Reply,
  smallModel,
  start,
  until,
  untilWaiting,
  urlOf,
} from './support';

const x = Tensor.randn([1, CHANNELS, 8, 8]);
const message = binaryMessage(x);

const headOf = (length: number, more = ''): string =>
  `POST ${INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: ${length}\r\n${more}\r\n`;

/** Eight requests run at a time; these fill the model. */
const RUNNING = 8;

async function fill(port: number, count: number): Promise<RawClient[]> {
  const clients = Array.from({ length: count }, () => new RawClient(port));
  for (const client of clients) await client.post(INFER, message);
  return clients;
}

it('refuses a body that is too large before it comes', async () => {
  const server = await start({ models: { m: smallModel() }, maxRequestBytes: 1000, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.send(headOf(1001));
  expect((await client.reply()).status).toBe(413);
  client.close();
});

it('refuses a body that inflates beyond the limit, and JSON beyond its own', async () => {
  const { gzipSync } = await import('node:zlib');
  const server = await start({
    models: { m: smallModel() },
    maxRequestBytes: 100_000,
    maxJsonBytes: 5000,
    grpcPort: false,
  });
  const send = async (body: Buffer, head = {}): Promise<number> => {
    const client = new RawClient(server.address?.httpPort ?? 0);
    await client.post(INFER, { head, body });
    const { status } = await client.reply();
    client.close();
    return status;
  };
  const bomb = gzipSync(Buffer.alloc(50_000_000, ' '));
  expect(bomb.length).toBeLessThan(100_000);
  expect(await send(bomb, { 'Content-Encoding': 'gzip', 'Inference-Header-Content-Length': '10' })).toBe(400);
  expect(await send(bomb, { 'Content-Encoding': 'gzip' })).toBe(413);
  expect(await send(Buffer.alloc(6000, ' '))).toBe(413);
  expect(await send(Buffer.alloc(6000, ' '), { 'Inference-Header-Content-Length': '6000' })).toBe(413);
});

it('says "100 Continue" only to what it takes', async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  const port = server.address?.httpPort ?? 0;
  const refused = new RawClient(port);
  await refused.send(headOf(10, 'Expect: 100-continue\r\nContent-Encoding: br\r\n'));
  expect((await refused.reply()).status).toBe(415);
  refused.close();
  const taken = new RawClient(port);
  const length = message.head['Inference-Header-Content-Length'] ?? '';
  await taken.send(
    headOf(message.body.length, `Expect: 100-continue\r\nInference-Header-Content-Length: ${length}\r\n`),
  );
  expect((await taken.reply()).status).toBe(100);
  await taken.send(message.body);
  expect((await taken.reply()).status).toBe(200);
  taken.close();
});

it('says "100 Continue" also where it reads small bodies', async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  const fields = 'Host: t\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n';
  await client.send(`POST /v2/repository/index HTTP/1.1\r\n${fields}\r\n`);
  expect((await client.reply()).status).toBe(100);
  await client.send('{}');
  expect((await client.reply()).status).toBe(200);
  client.close();
});

it('is the same on each address of localhost', async () => {
  // The main server listens on the first address of localhost. This is a second one.
  const addresses = [{ address: '127.0.0.2', family: 4 }];
  const lookup = jest.spyOn(dns, 'lookup').mockResolvedValue(addresses as never);
  const server = await start({ models: { m: smallModel() }, host: 'localhost', grpcPort: false });
  lookup.mockRestore();
  const port = server.address?.httpPort ?? 0;
  for (const host of ['localhost', '127.0.0.2']) {
    const refused = new RawClient(port, host);
    await refused.send(headOf(10, 'Expect: 100-continue\r\nContent-Encoding: br\r\n'));
    expect((await refused.reply()).status).toBe(415);
    refused.close();
    const wrong = new RawClient(port, host);
    await wrong.send('nonsense\r\n\r\n');
    expect((await wrong.reply()).headers['content-type']).toBe('application/json');
  }
  const silent = new RawClient(port, '127.0.0.2');
  await once(silent.socket, 'connect');
  expect(await server.close({ gracePeriodMs: 50 })).toBe(true);
  await until(() => silent.closed);
});

it('answers 429 with Retry-After while the queue is full, before the body comes', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, maxQueueSize: 2, grpcPort: false });
  const port = server.address?.httpPort ?? 0;
  const running = await fill(port, RUNNING);
  await until(() => gate.started.length === RUNNING);
  const waiting = await fill(port, 2);
  await untilWaiting(server, 2);
  const refused = new RawClient(port);
  await refused.send(headOf(1000));
  expect(await refused.reply()).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
  refused.close();
  gate.open();
  for (const client of [...running, ...waiting]) {
    expect((await client.reply()).status).toBe(200);
    client.close();
  }
  expect(await metricsOf(server)).toContain(
    'nv_inference_request_failure{model="m",version="1",reason="REJECTED"} 1',
  );
});

it('bounds the bytes that arrive and wait', async () => {
  const server = await start({ models: { m: smallModel() }, maxQueueBytes: 5000, grpcPort: false });
  const port = server.address?.httpPort ?? 0;
  const slow = new RawClient(port);
  await slow.send(headOf(4000));
  const second = new RawClient(port);
  await until(() => slow.socket.bytesWritten > 0);
  let status = 0;
  while (status !== 429) {
    await second.post(INFER, message);
    status = (await second.reply()).status;
    expect([200, 429]).toContain(status);
  }
  slow.close();
  while (status !== 200) {
    await second.post(INFER, message);
    status = (await second.reply()).status;
  }
  await second.send(headOf(6000));
  expect((await second.reply()).status).toBe(413);
  second.close();
});

it('bounds the JSON of an answer, and not binary outputs', async () => {
  const maxJsonBytes = 4096;
  const server = await start({ models: { m: smallModel() }, maxJsonBytes, grpcPort: false });
  const images = (count: number, parameters: object): Promise<Reply> =>
    post(server, binaryMessage(Tensor.zeros([count, CHANNELS, 1, 1]), {}, { parameters }));
  const most = Math.floor((maxJsonBytes - 2) / (CHANNELS * GROUPS * 25));
  expect((await images(most, {})).status).toBe(200);
  const refused = await images(most + 1, {});
  expect(refused.status).toBe(413);
  expect(bodyOf(refused).error).toContain('binary_data_output');
  expect((await images(most + 1, { binary_data_output: true })).status).toBe(200);
});

it('bounds JSON that comes in chunks, and what it inflates to', async () => {
  const { gzipSync } = await import('node:zlib');
  const server = await start({ models: { m: smallModel() }, maxQueueBytes: 5000, grpcPort: false });
  const port = server.address?.httpPort ?? 0;
  const chunk = (size: number): string => `${size.toString(16)}\r\n${' '.repeat(size)}\r\n`;
  const chunked = `POST ${INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const large = new RawClient(port);
  await large.send(chunked + chunk(6000));
  expect((await large.reply()).status).toBe(413);
  large.close();
  const inflated = new RawClient(port);
  await inflated.post(INFER, { head: { 'Content-Encoding': 'gzip' }, body: gzipSync(' '.repeat(6000)) });
  expect((await inflated.reply()).status).toBe(413);
  inflated.close();
  const first = new RawClient(port);
  await first.send(chunked + chunk(4000));
  const second = new RawClient(port);
  let status = 0;
  while (status !== 429) {
    await second.post(INFER, message);
    status = (await second.reply()).status;
    expect([200, 429]).toContain(status);
  }
  second.close();
  first.close();
});

it('ends what takes too long with 504, by the request or by the server', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.post(INFER, binaryMessage(x, {}, { parameters: { timeout: 20_000 } }));
  expect((await client.reply()).status).toBe(504);
  expect(gate.aborted).toBe(1);
  // Longer than timers have: no limit in effect, whatever runs the request.
  await client.post(INFER, binaryMessage(x, {}, { parameters: { timeout: 2 ** 42 } }));
  await until(() => gate.started.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(gate.aborted).toBe(1);
  client.close();
  const strict = await start({ models: { m: gate }, timeoutMs: 20, grpcPort: false });
  const other = new RawClient(strict.address?.httpPort ?? 0);
  await other.post(INFER, message);
  expect((await other.reply()).status).toBe(504);
  // The request's own time is no longer than the server's.
  await other.post(INFER, binaryMessage(x, {}, { parameters: { timeout: 60_000_000 } }));
  expect((await other.reply()).status).toBe(504);
  other.close();
  gate.open();
});

it('cancels what a client no longer waits for', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.post(INFER, message);
  await until(() => gate.started.length === 1);
  client.close();
  await until(() => gate.aborted === 1);
  const metrics = await metricsOf(server);
  expect(metrics).toContain('nv_inference_request_failure{model="m",version="1",reason="CANCELED"} 1');
  gate.open();
});

it.each(['gzip', 'deflate'])(
  'counts a client that leaves during %s of its answer as cancelled',
  async (encoding) => {
    const results: Tensor[] = [];
    class Large extends Gate {
      override async forward(): Promise<Tensor> {
        const result = await Tensor.randnAsync([2 ** 21]);
        results.push(result);
        return result;
      }
    }
    const server = await start({ models: { m: new Large() }, grpcPort: false });
    const client = new RawClient(server.address?.httpPort ?? 0);
    const { head, body } = binaryMessage(x, {}, { parameters: { binary_data_output: true } });
    await client.post(INFER, { head: { ...head, 'Accept-Encoding': encoding }, body });
    // Compressing takes some tenths of a second from then on.
    await until(() => results.length === 1);
    client.close();
    let metrics = '';
    while (!metrics.includes('tokenlearner_requests_under_way{model="m",version="1"} 0'))
      metrics = await metricsOf(server);
    expect(metrics).toContain('nv_inference_request_failure{model="m",version="1",reason="CANCELED"} 1');
    expect(metrics).toContain('nv_inference_request_success{model="m",version="1"} 0');
  },
);

it('gives up on a body that never ends', async () => {
  const server = await start({ models: { m: smallModel() }, requestTimeoutMs: 300, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.send(headOf(5000));
  expect((await client.reply()).status).toBe(408);
  await until(() => client.closed);
  const failures = (reason: string, count: number): string =>
    `nv_inference_request_failure{model="m",version="1",reason="${reason}"} ${count}`;
  expect(await metricsOf(server)).toContain(failures('OTHER', 1));
  expect(await metricsOf(server)).toContain(failures('CANCELED', 0));
});

it('refuses header fields that are too large', async () => {
  const server = await start({ models: { m: smallModel() }, maxHeaderBytes: 2048, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.send(headOf(10, `X: ${'a'.repeat(4000)}\r\n`));
  expect((await client.reply()).status).toBe(431);
});

it('answers 500 for a model that fails, and stays', async () => {
  class Broken extends Gate {
    override forward(): Promise<Tensor> {
      throw new Error('secret');
    }
  }
  const server = await start({ models: { m: new Broken(), n: smallModel() }, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.post(INFER, message);
  const { status, body } = await client.reply();
  expect(status).toBe(500);
  expect(body.toString()).not.toContain('secret');
  await client.post('/v2/models/n/infer', message);
  expect((await client.reply()).status).toBe(200);
  client.close();
});

it('finishes what is under way when it closes, and refuses the rest', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false });
  const port = server.address?.httpPort ?? 0;
  const [running] = await fill(port, 1);
  await until(() => gate.started.length === 1);
  const closing = server.close();
  const late = new RawClient(port);
  await late.post(INFER, message);
  expect(await late.reply()).toMatchObject({ status: 503, headers: { connection: 'close' } });
  expect((await fetch(urlOf(server, '/v2/health/live'))).status).toBe(200);
  expect((await fetch(urlOf(server, '/v2/health/ready'))).status).toBe(503);
  expect((await fetch(urlOf(server, '/v2/models/m/ready'))).status).toBe(503);
  gate.open();
  expect((await running?.reply())?.status).toBe(200);
  expect(await closing).toBe(true);
  await expect(fetch(urlOf(server, '/v2/health/live'))).rejects.toThrow('fetch failed');
});

it('says so when the grace period was too short', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false });
  const [client] = await fill(server.address?.httpPort ?? 0, 1);
  await until(() => gate.started.length === 1);
  const closing = server.close({ gracePeriodMs: 10 });
  await until(() => client?.closed === true);
  // It does not wait for a module that goes on.
  expect(await closing).toBe(false);
  gate.open();
});
