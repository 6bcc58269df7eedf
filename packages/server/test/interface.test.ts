/** The server as a program uses it: its methods' arguments and errors. */
import { Tensor } from 'tokenlearner';
import { createServer, InferenceServer } from '@tokenlearner/server';
import { binaryMessage, CHANNELS, Gate, INFER, RawClient, smallModel, start, until } from './support';

it.each<[unknown, string]>([
  [null, 'ERR_INVALID_ARG_TYPE'],
  [5, 'ERR_INVALID_ARG_TYPE'],
  [{ gracePeriodMs: 'x' }, 'ERR_INVALID_ARG_TYPE'],
  [{ gracePeriodMs: null }, 'ERR_INVALID_ARG_TYPE'],
  [{ gracePeriod: 5 }, 'ERR_INVALID_ARG_VALUE'],
  [{ gracePeriodMs: 2 ** 31 }, 'ERR_OUT_OF_RANGE'],
  [{ gracePeriodMs: Number.NaN }, 'ERR_OUT_OF_RANGE'],
  [{ gracePeriodMs: -5 }, 'ERR_OUT_OF_RANGE'],
])('close(%j) is refused, and requests go on', async (options, code) => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, grpcPort: false });
  const client = new RawClient(server.address?.httpPort ?? 0);
  await client.post(INFER, binaryMessage(Tensor.ones([1, CHANNELS, 2, 2])));
  await until(() => gate.started.length === 1);
  await expect(server.close(options as object)).rejects.toMatchObject({ name: 'TokenLearnerError', code });
  expect(server.ready).toBe(true);
  gate.open();
  expect((await client.reply()).status).toBe(200);
  expect(gate.aborted).toBe(0);
  client.close();
});

it('close takes an undefined grace period, and the longest', async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  expect(await server.close({ gracePeriodMs: 2 ** 31 - 1 })).toBe(true);
  expect(await server.close({ gracePeriodMs: undefined })).toBe(true);
});

it('errors of listen and reload have the codes of tokenlearner', async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  const value = { name: 'TokenLearnerError', code: 'ERR_INVALID_ARG_VALUE' };
  await expect(server.listen()).rejects.toMatchObject({ ...value, message: 'The server listens already' });
  await expect(server.reload('nope')).rejects.toMatchObject({
    ...value,
    message: 'Expected one of the models m for `name` but received "nope"',
  });
  await expect(server.reload('m')).rejects.toMatchObject({
    ...value,
    message: 'The model m was made by the program: it has no path to load from',
  });
  await expect(server.reload(5 as unknown as string)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await server.close();
  const closed = { name: 'TokenLearnerError', code: 'ERR_CLOSED' };
  await expect(server.listen()).rejects.toMatchObject(closed);
  await expect(server.reload()).rejects.toMatchObject(closed);
});

it.each<[object, string, string]>([
  [{ device: 'bogus' }, 'ERR_INVALID_ARG_VALUE', "Expected 'auto', 'cpu', 'cuda' or 'cuda:N'"],
  [{ device: 5 }, 'ERR_INVALID_ARG_TYPE', 'options.models.m.device'],
  [{ engine: 'bogus' }, 'ERR_INVALID_ARG_VALUE', 'Expected one of auto, fused, grouped-conv, libtorch'],
])('createServer refuses a model with %j', (options, code, text) => {
  expect(() => createServer({ models: { m: { path: 'weights.safetensors', ...options } } })).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(text) as string }) as Error,
  );
});

it('the declarations have devices by their names, and no constructor', () => {
  const make = (): unknown[] => [
    // @ts-expect-error: no device
    createServer({ models: { m: { path: 'w', device: 'bogus' } } }),
    // @ts-expect-error: createServer makes it
    new InferenceServer({ models: {} }),
  ];
  expect(make).toThrow('bogus');
});

it('createServer names a module of another copy of tokenlearner', () => {
  let other: unknown;
  jest.isolateModules(() => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const copy = require('tokenlearner') as typeof import('tokenlearner');
    other = new copy.Linear(2, 2, { device: 'cpu' });
  });
  expect(() => createServer({ models: { m: other as never } })).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringContaining('one of another copy') as string,
    }) as Error,
  );
});
