/** How a server ends: with what is under way, with what hangs on, and while it begins. */
import { once } from 'node:events';
import { type ClientHttp2Stream, connect } from 'node:http2';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import pino from 'pino';
import { Module, Tensor } from 'tokenlearner';
import { createServer, serve, type InferenceServer } from '@tokenlearner/server';
import { LiveModel } from '../lib/models/live-model';
import { binaryMessage, CHANNELS, Gate, INFER, RawClient, smallModel, start, until, urlOf } from './support';

const x = Tensor.randn([1, CHANNELS, 2, 2]);
const message = binaryMessage(x);

const INDEX = 'POST /v2/repository/index HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n';

it.each([
  ['nothing', ''],
  ['half of the header fields', 'GET /v2 HTTP/1.1\r\nHost: t\r\n'],
  ['no body', INDEX],
])('closes connections that sent %s, on all ports', async (_, text) => {
  const server = await start({ models: { m: smallModel() }, metricsPort: 0 });
  const { httpPort = 0, metricsPort = 0 } = server.address ?? {};
  const clients = [httpPort, metricsPort].map((port) => new RawClient(port));
  for (const client of clients) {
    await once(client.socket, 'connect');
    await client.send(text);
  }
  // The server has seen them all once it answers a later one.
  await fetch(urlOf(server, '/v2'));
  expect(await server.close({ gracePeriodMs: 50 })).toBe(true);
  await until(() => clients.every(({ closed }) => closed));
});

it('ends the request of a client that leaves while its body is inflated', async () => {
  const server = await start({ models: { m: smallModel() } });
  const large = binaryMessage(Tensor.zeros([1, CHANNELS, 1024, 1024]));
  const body = gzipSync(large.body, { level: 1 });
  const clients = Array.from({ length: 4 }, () => new RawClient(server.address?.httpPort ?? 0));
  for (const [i, client] of clients.entries()) {
    await client.post(INFER, { head: { ...large.head, 'Content-Encoding': 'gzip' }, body });
    // The server has all of it, and inflates for some hundredths of a second.
    await new Promise((resolve) => setTimeout(resolve, 2 + 4 * i));
    client.socket.destroy();
  }
  expect(await server.close({ gracePeriodMs: 10_000 })).toBe(true);
});

/** A gRPC call whose answer has begun. Nothing of it is read. */
async function callOf(server: InferenceServer, method: string, message: Buffer): Promise<ClientHttp2Stream> {
  const session = connect(`http://127.0.0.1:${server.address?.grpcPort ?? 0}`);
  session.on('error', () => undefined);
  const call = session.request({
    ':method': 'POST',
    ':path': method,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call
    .on('error', () => undefined)
    .on('close', () => {
      session.close();
    });
  call.end(message);
  await once(call, 'response');
  return call;
}

describe('an answer over gRPC that its client reads slowly', () => {
  const NUMBERS = 2 ** 20;
  class Large extends Module {
    override forward(): Promise<Tensor> {
      return Promise.resolve(Tensor.zeros([NUMBERS]));
    }
  }

  /** A call whose answer waits in the server, since nothing of it is read. */
  function slowCall(server: InferenceServer): Promise<ClientHttp2Stream> {
    const proto = path.join(__dirname, '..', 'proto', 'grpc_predict_v2.proto');
    const service = loadSync(proto, { keepCase: true })['inference.GRPCInferenceService'];
    const { path: method, requestSerialize } = (service as grpc.ServiceDefinition).ModelInfer ?? {};
    const body = requestSerialize?.({
      model_name: 'm',
      inputs: [{ name: 'input', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } }],
    });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body?.length ?? 0, 1);
    return callOf(server, method ?? '', Buffer.concat([head, body ?? Buffer.alloc(0)]));
  }

  it('arrives whole', async () => {
    const server = await start({ models: { m: new Large() } });
    const call = await slowCall(server);
    const closed = server.close();
    // Longer than what a server without calls waits for its streams.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    let received = 0;
    let status: unknown;
    call
      .on('trailers', (trailers: Record<string, unknown>) => {
        status = trailers['grpc-status'];
      })
      .on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
    expect(await closed).toBe(true);
    await until(() => call.closed);
    expect({ status, isWhole: received > 4 * NUMBERS }).toEqual({ status: '0', isWhole: true });
  });

  it('is cut at the end of the grace period', async () => {
    const server = await start({ models: { m: new Large() } });
    const call = await slowCall(server);
    expect(await server.close({ gracePeriodMs: 50 })).toBe(false);
    call.resume();
    await until(() => call.closed);
  });
});

it('does not wait for a call of Health.Watch', async () => {
  const server = await start({ models: { m: smallModel() } });
  const { session } = await callOf(server, '/grpc.health.v1.Health/Watch', Buffer.alloc(5));
  expect(await server.close()).toBe(true);
  await until(() => session?.destroyed === true);
});

it('does not wait for pipelined requests of a client that has gone', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  for (let i = 0; i < 12; i++) await client.post(INFER, message);
  await until(() => gate.started.length === 8);
  client.close();
  await until(() => gate.aborted === 8);
  gate.open();
  expect(await server.close({ gracePeriodMs: 5000 })).toBe(true);
});

it('says at the last answer of each connection that it ends, while the server closes', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false, metricsPort: 0 });
  const { httpPort = 0, metricsPort = 0 } = server.address ?? {};
  const [one, two, health, metrics] = [httpPort, httpPort, httpPort, metricsPort].map(
    (port) => new RawClient(port),
  ) as [RawClient, RawClient, RawClient, RawClient];
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: t\r\n\r\n`;
  await health.send(get('/v2/health/live'));
  expect((await health.reply()).headers).toMatchObject({ connection: 'keep-alive' });
  await one.post(INFER, message);
  await two.post(INFER, message);
  await two.post(INFER, binaryMessage(x, {}, { id: 'last' }));
  await until(() => gate.started.length === 3);
  const closing = server.close();
  await health.send(get('/v2/health/live'));
  await metrics.send(get('/metrics'));
  const seen: unknown[] = [];
  for (const client of [health, metrics, one, two, two]) {
    const { status, headers } = await client.reply();
    seen.push([status, headers.connection]);
    if (client === metrics) gate.open();
  }
  expect(seen).toEqual([
    [200, 'close'],
    [200, 'close'],
    [200, 'close'],
    [200, 'keep-alive'],
    [200, 'close'],
  ]);
  await until(() => [one, two, health, metrics].every(({ closed }) => closed));
  expect(await closing).toBe(true);
});

it('closes while it opens its ports', async () => {
  const server = createServer({ models: { m: smallModel() }, httpPort: 0, grpcPort: 0 });
  const listening = server.listen();
  const refused = expect(listening).rejects.toThrow('The server is closing');
  expect(await server.close()).toBe(true);
  await refused;
  expect(server.ready).toBe(false);
  await expect(fetch(urlOf(server, '/v2/health/live'))).rejects.toThrow('fetch failed');
  await expect(server.listen()).rejects.toThrow('is closed');
});

it('a second call shortens the grace period', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.post(INFER, message);
  await until(() => gate.started.length === 1);
  const first = server.close({ gracePeriodMs: 1e9 });
  const second = server.close({ gracePeriodMs: 10 });
  expect(await Promise.all([first, second, server.close()])).toEqual([false, false, false]);
  await until(() => client.closed);
  gate.open();
});

it.each([
  ['SIGTERM', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', 'SIGTERM'],
])('%s, then %s: the second ends the grace period', async (first, second) => {
  const listeners = (): number[] =>
    ['SIGTERM', 'SIGINT', 'SIGHUP'].map((each) => process.listenerCount(each));
  const before = listeners();
  const gate = new Gate();
  let httpPort = 0;
  const logger = pino(
    { level: 'info' },
    {
      write: (line: string) => {
        httpPort = (JSON.parse(line) as { httpPort?: number }).httpPort ?? httpPort;
      },
    },
  );
  const code = serve({ models: { m: gate }, httpPort: 0, grpcPort: false, gracePeriodMs: 1e9, logger });
  await until(() => httpPort !== 0);
  const client = new RawClient(httpPort);
  await client.post(INFER, message);
  await until(() => gate.started.length === 1);
  process.emit(first as 'SIGTERM', first as 'SIGTERM');
  await new Promise((resolve) => setImmediate(resolve));
  process.emit(second as 'SIGTERM', second as 'SIGTERM');
  expect(await code).toBe(1);
  expect(listeners()).toEqual(before);
  await until(() => client.closed);
  gate.open();
});

it('a signal ends a server that has just begun', async () => {
  const code = serve({ models: { m: smallModel() }, httpPort: 0, grpcPort: 0, logger: 'silent' });
  process.emit('SIGTERM', 'SIGTERM');
  expect(await code).toBe(0);
});

describe('a model that is not wanted any more', () => {
  class Disposable extends Gate {
    isDisposed = false;
    override dispose(): void {
      this.isDisposed = true;
      super.dispose();
    }
  }
  const limits = { maxQueueSize: 8, maxQueueBytes: 1e6 };
  const call = { outputs: ['output'], signal: new AbortController().signal };

  it('is disposed after the last request that uses it', async () => {
    const module = new Disposable();
    const live = new LiveModel({ module, isOwn: true }, limits, () => undefined).take();
    const retired = live.retire(true);
    await new Promise((resolve) => setTimeout(resolve, 10));
    // One that has begun may still run.
    const answer = live.infer([x], call);
    await until(() => module.started.length === 1);
    expect(module.isDisposed).toBe(false);
    module.open();
    expect(await answer).toHaveLength(1);
    live.release();
    await retired;
    expect(module.isDisposed).toBe(true);
  });

  it('is disposed after its last run, where the server does not wait for its requests', async () => {
    const module = new Disposable();
    const live = new LiveModel({ module, isOwn: true }, limits, () => undefined).take();
    const answer = live.infer([x], call);
    await until(() => module.started.length === 1);
    const retired = live.retire(false);
    await expect(live.infer([x], call)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(module.isDisposed).toBe(false);
    module.open();
    await answer;
    await retired;
    expect(module.isDisposed).toBe(true);
  });
});
