/** Models that are loaded while something else happens. The test decides when a model is loaded. */
import { Module, Tensor, TokenLearner, TokenLearnerError } from 'tokenlearner';
import { createServer } from '@tokenlearner/server';
import * as loader from '../lib/models/loader';
import { healthOf } from './grpc-support';
import {
  binaryMessage,
  binaryReply,
  bytes,
  CHANNELS,
  INFER,
  RawClient,
  smallModel,
  start,
  until,
} from './support';

jest.mock('../lib/models/loader');

const loads: ((loaded: loader.Loaded) => void)[] = [];
beforeEach(() => {
  loads.length = 0;
  jest.mocked(loader.load).mockImplementation(
    () =>
      new Promise((resolve) => {
        loads.push(resolve);
      }),
  );
});

const isDisposed = (model: TokenLearner): boolean => {
  try {
    model.stateDict();
    return false;
  } catch {
    return true;
  }
};

it('loads nothing if it is closed while it opens its ports', async () => {
  const server = createServer({ models: { m: 'file' }, httpPort: 0, grpcPort: 0 });
  const refused = expect(server.listen()).rejects.toThrow('The server is closing');
  expect(await server.close()).toBe(true);
  await refused;
  expect(loads).toHaveLength(0);
});

it('is closed before its models are loaded', async () => {
  const server = createServer({ models: { m: 'file' }, httpPort: 0, grpcPort: 0 });
  const refused = expect(server.listen()).rejects.toThrow('The server is closing');
  await until(() => loads.length === 1);
  expect(await server.close()).toBe(true);
  const module = smallModel();
  loads[0]?.({ module, isOwn: true });
  await refused;
  expect(server.ready).toBe(false);
  expect(isDisposed(module)).toBe(true);
});

it('is closed while a model is loaded again', async () => {
  const server = createServer({ models: { m: 'file' }, httpPort: 0, grpcPort: false });
  const listening = server.listen();
  await until(() => loads.length === 1);
  const old = smallModel();
  loads[0]?.({ module: old, isOwn: true });
  await listening;
  const refused = expect(server.reload()).rejects.toThrow('The server is closing');
  await until(() => loads.length === 2);
  expect(await server.close()).toBe(true);
  expect(isDisposed(old)).toBe(true);
  const module = smallModel();
  loads[1]?.({ module, isOwn: true });
  await refused;
  expect(isDisposed(module)).toBe(true);
});

it('loads each model independently, and tells of all that fail once all are done', async () => {
  let failing: Record<string, Promise<never> | undefined> = {};
  let slow: (error: Error) => void = () => undefined;
  const made: Record<string, TokenLearner> = {};
  jest
    .mocked(loader.load)
    .mockImplementation(
      (source) =>
        failing[source as string] ??
        Promise.resolve({ module: (made[source as string] = smallModel()), isOwn: true }),
    );
  const server = await start({ models: { a: 'a', b: 'b', c: 'c' }, grpcPort: false });
  const before = { ...made };
  failing = {
    a: Promise.reject(new TokenLearnerError('ERR_FILE_IO', 'There is no file')),
    b: new Promise((_, reject) => (slow = reject)),
  };
  let isDone = false;
  const reloading = server.reload().catch((error: unknown) => {
    isDone = true;
    return error;
  });
  await until(() => made.c !== before.c && isDisposed(before.c ?? smallModel()));
  expect(isDone).toBe(false);
  slow(new Error('It is damaged'));
  expect(await reloading).toMatchObject({
    message: 'a: There is no file; b: It is damaged',
    errors: [{ code: 'ERR_FILE_IO' }, { message: 'It is damaged' }],
  });
  expect([made.a, made.b]).toEqual([before.a, before.b]);
  failing = { a: Promise.reject(new TokenLearnerError('ERR_FILE_IO', 'There is no file')) };
  await expect(server.reload()).rejects.toMatchObject({ code: 'ERR_FILE_IO' });
  expect(server.ready).toBe(true);
});

it('ends a request with the model that it began with', async () => {
  const starting = start({ models: { m: 'file' }, grpcPort: false });
  await until(() => loads.length === 1);
  const old = smallModel();
  loads[0]?.({ module: old, isOwn: true });
  const server = await starting;
  const x = Tensor.randn([1, CHANNELS, 3, 2]);
  const expected = bytes(old.forwardSync(x));
  const parameters = { binary_data_output: true };
  const { head, body } = binaryMessage(x, {}, { parameters });
  const fields = Object.entries({ Expect: '100-continue', 'Content-Length': body.length, ...head });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.send(
    `POST ${INFER} HTTP/1.1\r\nHost: t\r\n${fields.map((field) => `${field.join(': ')}\r\n`).join('')}\r\n`,
  );
  // It has begun: the server asks for its body.
  expect((await client.reply()).status).toBe(100);
  const half = body.length - 16;
  await client.send(body.subarray(0, half));
  const reloading = server.reload('m');
  await until(() => loads.length === 2);
  const other = new TokenLearner({ dim: CHANNELS + 1, dtype: 'float64', device: 'cpu' });
  loads[1]?.({ module: other, isOwn: true });
  await reloading;
  expect(isDisposed(old)).toBe(false);
  await client.send(body.subarray(half));
  const reply = await client.reply();
  expect(reply.status).toBe(200);
  expect(binaryReply(reply).binary).toEqual(expected);
  await until(() => isDisposed(old));
  client.close();
});

it('is neither live nor ready once a model has lost its device, until it is loaded again', async () => {
  class Lost extends Module {
    override forward(): Promise<Tensor> {
      return Promise.reject(new TokenLearnerError('ERR_DEVICE_LOST', 'The device is lost'));
    }
  }
  const other = smallModel();
  const starting = start({ models: { m: 'file', other } });
  await until(() => loads.length === 2);
  loads[0]?.({ module: new Lost(), isOwn: true });
  loads[1]?.({ module: other, isOwn: false });
  const server = await starting;
  const { httpPort = 0 } = server.address ?? {};
  const check = healthOf(server);
  const health = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${httpPort}/v2/${path}`);
    return { status: response.status, ...((await response.json()) as object) };
  };
  const everywhere = async (): Promise<unknown[]> => [
    await health('health/live'),
    await health('health/ready'),
    await health('models/m/ready'),
    await check(''),
    await check('m'),
    await check('other'),
    server.ready,
  ];
  const states = (status: number, works: boolean): unknown[] => {
    const state = { status, live: works, ready: works };
    const own = { status: works ? 'SERVING' : 'NOT_SERVING' };
    return [state, state, { ...state, name: 'm' }, own, own, { status: 'SERVING' }, works];
  };
  expect(await everywhere()).toEqual(states(200, true));
  const client = new RawClient(httpPort);
  await client.post(INFER, binaryMessage(Tensor.ones([1, CHANNELS, 2, 2])));
  expect((await client.reply()).status).toBe(503);
  client.close();
  expect(await everywhere()).toEqual(states(503, false));
  const reloaded = server.reload();
  await until(() => loads.length === 3);
  loads[2]?.({ module: smallModel(), isOwn: true });
  await reloaded;
  expect(await everywhere()).toEqual(states(200, true));
});
