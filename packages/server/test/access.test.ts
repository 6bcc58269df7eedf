/** Tokens, TLS, and what the options refuse. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { Tensor, TokenLearner } from 'tokenlearner';
import { createServer, type ServerOptions } from '@tokenlearner/server';
import { selfSigned } from './certificate';
import { clientOf, healthOf } from './grpc-support';
import { binaryMessage, CHANNELS, RawClient, smallModel, start, until, urlOf } from './support';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-server-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const full = path.join(folder, name);
  writeFileSync(full, text);
  return full;
}

/** The file of a new key. */
function privateKey(type: 'ec' | 'rsa'): string {
  const { privateKey: key } =
    type === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return file(`${type}-key.pem`, key.export({ type: 'pkcs8', format: 'pem' }) as string);
}

const statusOf = async (url: string, authorization?: string, method = 'GET'): Promise<number> =>
  (await fetch(url, { method, headers: authorization === undefined ? {} : { authorization } })).status;

describe('with a token file', () => {
  const TOKENS = 'first-token\nsecond-token\n';

  it('only health is open; any of the tokens opens the rest', async () => {
    const server = await start({
      models: { m: smallModel() },
      tokenFile: file('tokens', TOKENS),
      grpcPort: false,
    });
    for (const open of ['/v2/health/live', '/v2/health/ready', '/v2/models/m/ready'])
      expect(await statusOf(urlOf(server, open))).toBe(200);
    for (const guarded of ['/', '/v2', '/v2/models/m', '/v2/models/m/stats', '/metrics', '/openapi.json']) {
      const url = urlOf(server, guarded);
      expect(await statusOf(url)).toBe(401);
      expect(await statusOf(url, 'Bearer wrong')).toBe(401);
      expect(await statusOf(url, 'Bearer')).toBe(401);
      expect(await statusOf(url, 'Bearer first-token')).toBe(200);
      expect(await statusOf(url, 'bearer second-token')).toBe(200);
    }
    const basic = `Basic ${Buffer.from('me:first-token').toString('base64')}`;
    expect(await statusOf(urlOf(server, '/'), basic)).toBe(200);
  });

  it('refuses an inference before its body', async () => {
    const server = await start({
      models: { m: smallModel() },
      tokenFile: file('tokens', TOKENS),
      grpcPort: false,
    });
    const client = new RawClient(server.address?.httpPort ?? 0);
    await client.send('POST /v2/models/m/infer HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n');
    expect((await client.reply()).status).toBe(401);
    client.close();
    const allowed = new RawClient(server.address?.httpPort ?? 0);
    const { head, body } = binaryMessage(Tensor.randn([1, CHANNELS, 2, 2]));
    await allowed.post('/v2/models/m/infer', {
      head: { ...head, Authorization: 'Bearer second-token' },
      body,
    });
    expect((await allowed.reply()).status).toBe(200);
    allowed.close();
  });

  it('guards gRPC too, health excepted', async () => {
    const server = await start({ models: { m: smallModel() }, tokenFile: file('tokens', TOKENS) });
    const call = clientOf(server);
    const withToken = (token: string): grpc.Metadata => {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', `Bearer ${token}`);
      return metadata;
    };
    const refused = { code: grpc.status.UNAUTHENTICATED };
    for (const [method, request] of [
      ['ServerMetadata', {}],
      ['ModelMetadata', { name: 'm' }],
    ] as const) {
      await expect(call(method, request)).rejects.toMatchObject(refused);
      await expect(call(method, request, withToken('wrong'))).rejects.toMatchObject(refused);
      expect(await call(method, request, withToken('first-token'))).toBeDefined();
    }
    await expect(call('ModelInfer', { model_name: 'm' })).rejects.toMatchObject(refused);
    expect(await call('ServerLive', {})).toEqual({ live: true });
    expect(await call('ServerReady', {})).toEqual({ ready: true });
    expect(await call('ModelReady', { name: 'm' })).toEqual({ ready: true });
    expect(await healthOf(server)('m')).toEqual({ status: 'SERVING' });
  });

  it('loads a model again for those with a token, from the configured path alone', async () => {
    const { saveSafetensors } = jest.requireActual<typeof import('tokenlearner')>('tokenlearner');
    const weights = path.join(folder, 'w.safetensors');
    const [before, after] = [smallModel(), smallModel()];
    await saveSafetensors(weights, before.stateDict());
    const server = await start({
      models: { m: weights },
      tokenFile: file('tokens', TOKENS),
      grpcPort: false,
    });
    await saveSafetensors(weights, after.stateDict());
    const load = (body: string, authorization = 'Bearer first-token'): Promise<Response> =>
      fetch(urlOf(server, '/v2/repository/models/m/load'), {
        method: 'POST',
        body,
        headers: { authorization },
      });
    expect((await load('', 'Bearer no')).status).toBe(401);
    expect((await load('{"parameters":{"path":"other.safetensors"}}')).status).toBe(400);
    const x = Tensor.randn([1, CHANNELS, 3, 3]);
    const infer = async (): Promise<Buffer> => {
      const client = new RawClient(server.address?.httpPort ?? 0);
      const { head, body } = binaryMessage(x, {}, { parameters: { binary_data_output: true } });
      await client.post('/v2/models/m/infer', {
        head: { ...head, Authorization: 'Bearer first-token' },
        body,
      });
      const reply = await client.reply();
      client.close();
      return reply.body.subarray(Number(reply.headers['inference-header-content-length']));
    };
    const bits = (model: TokenLearner): Buffer => Buffer.from(model.forwardSync(x).data.slice().buffer);
    expect(await infer()).toEqual(bits(before));
    expect((await load('{}')).status).toBe(200);
    expect(await infer()).toEqual(bits(after));
    // A broken file leaves the model as it is.
    writeFileSync(weights, 'nonsense');
    expect((await load('{}')).status).toBe(500);
    expect(await infer()).toEqual(bits(after));
    const { json } = {
      json: await (
        await fetch(urlOf(server, '/v2/repository/index'), {
          method: 'POST',
          headers: { authorization: 'Bearer first-token' },
        })
      ).json(),
    };
    expect(json).toEqual([{ name: 'm', version: '1', state: 'READY', reason: '' }]);
  });
});

it('keeps its tokens if a model cannot be loaded again', async () => {
  const { saveSafetensors } = jest.requireActual<typeof import('tokenlearner')>('tokenlearner');
  const weights = path.join(folder, 'kept.safetensors');
  await saveSafetensors(weights, smallModel().stateDict());
  const tokenFile = file('kept', 'old-token\n');
  const server = await start({ models: { m: weights }, tokenFile, grpcPort: false });
  const allowed = async (): Promise<number[]> => [
    await statusOf(urlOf(server, '/v2'), 'Bearer old-token'),
    await statusOf(urlOf(server, '/v2'), 'Bearer new-token'),
  ];
  file('kept', 'new-token\n');
  const whole = readFileSync(weights);
  writeFileSync(weights, 'nonsense');
  await expect(server.reload()).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
  expect(await allowed()).toEqual([200, 401]);
  writeFileSync(weights, whole);
  await server.reload();
  expect(await allowed()).toEqual([401, 200]);
  file('kept', '');
  await expect(server.reload()).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
  expect(await allowed()).toEqual([401, 200]);
});

it('reads its tokens again where the program made the models', async () => {
  const tokenFile = file('made', 'old-token\n');
  const server = await start({ models: { m: smallModel() }, tokenFile, grpcPort: false });
  file('made', 'new-token\n');
  await server.reload();
  expect(await statusOf(urlOf(server, '/v2'), 'Bearer old-token')).toBe(401);
  expect(await statusOf(urlOf(server, '/v2'), 'Bearer new-token')).toBe(200);
  await expect(server.reload('m')).rejects.toMatchObject({
    message: expect.stringContaining('no path') as string,
  });
});

it('loads no model over the network without tokens', async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  expect(await statusOf(urlOf(server, '/v2/repository/models/m/load'), undefined, 'POST')).toBe(403);
});

it('serves HTTPS', async () => {
  const files = selfSigned(folder);
  if (files === undefined) {
    console.warn('openssl is not installed: TLS is not tested');
    return;
  }
  const { key, cert } = files;
  for (const other of [privateKey('rsa'), privateKey('ec')])
    expect(() => createServer({ models: { m: smallModel() }, tls: { cert, key: other } })).toThrow(
      'Expected a certificate and its private key',
    );
  const server = await start({ models: { m: smallModel() }, tls: { cert, key } });
  const status = await new Promise<number | undefined>((resolve, reject) => {
    request(
      { port: server.address?.httpPort, path: '/v2/health/ready', rejectUnauthorized: false },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    )
      .on('error', reject)
      .end();
  });
  expect(status).toBe(200);
  // A connection that never begins with TLS does not keep the server from closing.
  const silent = new RawClient(server.address?.httpPort ?? 0);
  await once(silent.socket, 'connect');
  expect(await server.close({ gracePeriodMs: 50 })).toBe(true);
  await until(() => silent.closed);
});

describe('options', () => {
  const models = { m: new TokenLearner({ dim: 2, device: 'cpu' }) };

  it.each<[unknown, string, RegExp]>([
    [undefined, 'ERR_INVALID_ARG_TYPE', /`options`/],
    [{}, 'ERR_INVALID_ARG_TYPE', /`options.models`/],
    [{ models: {} }, 'ERR_INVALID_ARG_VALUE', /at least one model/],
    [{ models: { 'a/b': 'x' } }, 'ERR_INVALID_ARG_VALUE', /letters, digits/],
    [{ models: { stats: 'x' } }, 'ERR_INVALID_ARG_VALUE', /other than stats/],
    [{ models: { m: 3 } }, 'ERR_INVALID_ARG_TYPE', /options.models.m/],
    [{ models: { m: { path: 'x', paht: 1 } } }, 'ERR_INVALID_ARG_VALUE', /'paht'/],
    [{ models, port: 3 }, 'ERR_INVALID_ARG_VALUE', /'port'/],
    [{ models, httpPort: 65_536 }, 'ERR_OUT_OF_RANGE', /httpPort/],
    [{ models, grpcPort: '1' }, 'ERR_INVALID_ARG_TYPE', /grpcPort/],
    [{ models, host: '0.0.0.0' }, 'ERR_INVALID_ARG_VALUE', /--token-file.*--insecure/],
    [{ models, host: '::' }, 'ERR_INVALID_ARG_VALUE', /--insecure/],
    [{ models, tls: { cert: 'x' } }, 'ERR_INVALID_ARG_TYPE', /options.tls.key/],
    [{ models, tls: { cert: '/no/cert', key: '/no/key' } }, 'ERR_FILE_IO', /TLS/],
    [{ models, tokenFile: '/no/file' }, 'ERR_FILE_IO', /token file/],
    [{ models, logger: 'loud' }, 'ERR_INVALID_ARG_VALUE', /logger/],
    [{ models, maxJsonDepth: 1 }, 'ERR_OUT_OF_RANGE', /maxJsonDepth/],
    [{ models, timeoutMs: '1' }, 'ERR_INVALID_ARG_TYPE', /timeoutMs/],
    [{ models, timeoutMs: -1 }, 'ERR_OUT_OF_RANGE', /timeoutMs/],
    [{ models, timeoutMs: NaN }, 'ERR_OUT_OF_RANGE', /timeoutMs/],
    [{ models, timeoutMs: 2 ** 31 }, 'ERR_OUT_OF_RANGE', /timeoutMs/],
  ])('%j: %s', (options, code, message) => {
    let error: unknown;
    try {
      createServer(options as ServerOptions);
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('a token file without a token', () => {
    expect(() => createServer({ models, tokenFile: file('empty', '\n \n') })).toThrow('holds no token');
  });

  it('TLS files that are not what they should be', () => {
    const [key, junk] = [privateKey('ec'), file('junk.pem', 'junk')];
    for (const tls of [
      { cert: key, key },
      { cert: junk, key },
      { cert: key, key: junk },
    ]) {
      const expected: unknown = expect.objectContaining({
        code: 'ERR_FILE_FORMAT',
        message: expect.stringContaining(`${tls.cert} and ${tls.key}`) as string,
      });
      expect(() => createServer({ models, tls })).toThrow(expected as Error);
    }
  });

  it('a model that is not there', async () => {
    const server = createServer({ models: { m: '/no/such.safetensors' }, httpPort: 0, grpcPort: 0 });
    await expect(server.listen()).rejects.toMatchObject({ code: 'ERR_FILE_IO' });
    expect(server.address).toBeUndefined();
  });

  it('a port that is taken', async () => {
    const first = await start({ models, grpcPort: false });
    const second = createServer({ models, httpPort: first.address?.httpPort ?? 0, grpcPort: false });
    const taken = `127.0.0.1:${first.address?.httpPort}`;
    const busy = (option: string): unknown => ({
      code: 'EADDRINUSE',
      message: `Cannot open ${option}: listen EADDRINUSE: address already in use ${taken}`,
    });
    await expect(second.listen()).rejects.toMatchObject(busy('`httpPort` (--http-port)') as object);
    for (const [option, flag] of [
      ['grpcPort', '--grpc-port'],
      ['metricsPort', '--metrics-port'],
    ] as const) {
      const server = createServer({ models, httpPort: 0, grpcPort: 0, [option]: first.address?.httpPort });
      await expect(server.listen()).rejects.toMatchObject(busy(`\`${option}\` (${flag})`) as object);
    }
  });

  it('one port for two purposes', () => {
    for (const [first, second, ports] of [
      ['httpPort', 'grpcPort', { httpPort: 9000, grpcPort: 9000 }],
      ['httpPort', 'grpcPort', { httpPort: 8001 }],
      ['httpPort', 'metricsPort', { httpPort: 9000, metricsPort: 9000 }],
      ['grpcPort', 'metricsPort', { metricsPort: 8001 }],
    ] as const) {
      const message = `Expected different ports for \`options.${first}\` and \`options.${second}\` but received ${Object.values(ports)[0]} for both`;
      expect(() => createServer({ models, ...ports })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', message }) as Error,
      );
    }
  });
});
