/** Requests of many clients in common batches. */
import pino from 'pino';
import { Batcher, Module, Sequential, Tensor, TokenLearnerError, TokenLearnerV11 } from 'tokenlearner';
import { createServer, type InferenceServer } from '@tokenlearner/server';
import {
  binaryMessage,
  binaryReply,
  bytes,
  CHANNELS,
  INFER,
  metricsOf,
  post,
  RawClient,
  smallModel,
  start,
  urlOf,
} from './support';

const BINARY = { parameters: { binary_data_output: true } };
const model = smallModel();

it('gives each of many clients what it would get alone, whatever the sizes', async () => {
  const server = await start({ models: { m: model }, grpcPort: false, maxBatchSize: 16 });
  const inputs = Array.from({ length: 48 }, (_, i) =>
    Tensor.randn([1 + (i % 3), CHANNELS, 1 + (i % 7), 2 + (i % 5)]),
  );
  const answers = await Promise.all(
    inputs.map(async (x, i) => {
      const named =
        i % 4 === 0 ? { ...BINARY, outputs: [{ name: 'attention' }, { name: 'tokens' }] } : BINARY;
      // One of eight is wrong, and fails alone.
      const message = binaryMessage(x, i % 8 === 7 ? { datatype: 'FP64' } : {}, named);
      return { x, reply: await post(server, message) };
    }),
  );
  answers.forEach(({ x, reply }, i) => {
    const wrong = i % 8 === 7;
    expect(reply.status).toBe(wrong ? 400 : 200);
    if (wrong) return;
    const { tokens, attention } = model.forwardSync(x, { returnAttention: true });
    const expected = i % 4 === 0 ? [bytes(tokens), bytes(attention)] : [bytes(tokens)];
    expect(binaryReply(reply).binary).toEqual(Buffer.concat(expected));
  });
  const metrics = await metricsOf(server);
  const images = inputs.reduce((sum, { shape }, i) => sum + (i % 8 === 7 ? 0 : (shape[0] ?? 0)), 0);
  expect(metrics).toContain(`nv_inference_count{model="m",version="1"} ${images}\n`);
  expect(metrics).toContain('nv_inference_request_success{model="m",version="1"} 42\n');
  expect(metrics).toContain(`tokenlearner_batch_size_sum{model="m",version="1"} ${images}\n`);
  expect(metrics).toContain('tokenlearner_queue_duration_seconds_count{model="m",version="1"} 42\n');
});

it('serves a TokenLearnerV11 with its tokens and maps', async () => {
  const v11 = new TokenLearnerV11({ dim: CHANNELS, numOutputTokens: 3, device: 'cpu' });
  const server = await start({ models: { m: v11 }, grpcPort: false });
  const metadata = (await (await fetch(urlOf(server, '/v2/models/m'))).json()) as object;
  expect(metadata).toMatchObject({
    inputs: [{ name: 'input', shape: [-1, CHANNELS, -1, -1] }],
    outputs: [
      { name: 'tokens', shape: [-1, CHANNELS, 3] },
      { name: 'attention', shape: [-1, 3, -1, -1] },
    ],
  });
  const x = Tensor.randn([2, CHANNELS, 5, 3]);
  const named = { ...BINARY, outputs: [{ name: 'attention' }, { name: 'tokens' }] };
  const { tokens, attention } = v11.forwardSync(x, { returnAttention: true });
  expect(binaryReply(await post(server, binaryMessage(x, {}, named))).binary).toEqual(
    Buffer.concat([bytes(tokens), bytes(attention)]),
  );
});

it('reads inputs of many chunks, whose memory it frees on the way', async () => {
  const server = await start({ models: { m: model }, grpcPort: false });
  const inputs = Array.from({ length: 6 }, (_, i) => Tensor.randn([1, CHANNELS, 200 + i, 301]));
  await Promise.all(
    inputs.map(async (x) => {
      const reply = await post(server, binaryMessage(x, {}, BINARY));
      expect(binaryReply(reply).binary).toEqual(bytes(model.forwardSync(x)));
    }),
  );
});

it('has the priorities of the protocol', async () => {
  const server = await start({ models: { m: model }, grpcPort: false, priorityLevels: 3 });
  const client = new RawClient(server.address?.httpPort ?? 0);
  const x = Tensor.randn([1, CHANNELS, 2, 2]);
  for (const [priority, status] of [
    [0, 200],
    [1, 200],
    [3, 200],
    [4, 400],
  ]) {
    await client.post(INFER, binaryMessage(x, {}, { parameters: { priority } }));
    expect((await client.reply()).status).toBe(status);
  }
  client.close();
});

it('refuses options that the Batcher refuses', async () => {
  const server = createServer({ models: { m: model }, httpPort: 0, grpcPort: false, maxBatchSize: 0 });
  await expect(server.listen()).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
});

describe('a model with a forward of its own', () => {
  class Own extends Module {
    readonly inner = smallModel();

    override forward(x: Tensor): Promise<Tensor> {
      return this.inner.forward(x);
    }
  }
  const own = new Own();

  /** The lines of the log, and the server that writes them. */
  function logging(): { lines: Record<string, unknown>[]; logger: pino.Logger } {
    const lines: Record<string, unknown>[] = [];
    const write = (line: string): void => {
      lines.push(JSON.parse(line) as Record<string, unknown>);
    };
    return { lines, logger: pino({ level: 'info' }, { write }) };
  }

  const batchedOf = async (server: InferenceServer, name: string): Promise<unknown> =>
    ((await (await fetch(urlOf(server, `/v2/models/${name}`))).json()) as { parameters: object }).parameters;

  it.each([
    ['maxBatchSize', 8],
    ['maxBatchPixels', 100],
    ['maxDelayMs', 1],
    ['priorityLevels', 2],
    ['devices', ['cpu']],
  ])('refuses %s, which would do nothing', async (name, value) => {
    for (const module of [own, new Sequential(own)]) {
      await expect(start({ models: { m: module }, grpcPort: false, [name]: value })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_VALUE',
        message: expect.stringContaining(`Expected no \`${name}\` with m`) as string,
      });
    }
  });

  it('takes the options of the queue, and says that its requests run alone', async () => {
    const { lines, logger } = logging();
    const server = await start({
      models: { m: own },
      grpcPort: false,
      maxQueueSize: 8,
      maxQueueBytes: 1e6,
      timeoutMs: 1000,
      logger,
    });
    expect(await batchedOf(server, 'm')).toEqual({ batched: false });
    expect(await (await fetch(urlOf(server))).text()).toContain('ready; requests run alone');
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 30, model: 'm', msg: expect.stringContaining('alone') as string }),
    );
  });

  it('is named in a warning where the options apply to another model', async () => {
    const { lines, logger } = logging();
    const models = { m: own, n: model };
    const server = await start({ models, grpcPort: false, maxBatchSize: 8, logger });
    expect(await batchedOf(server, 'm')).toEqual({ batched: false });
    expect(await batchedOf(server, 'n')).toEqual({ batched: true });
    expect(lines.filter(({ level }) => level === 40)).toEqual([
      expect.objectContaining({ model: 'm', options: ['maxBatchSize'] }),
    ]);
  });
});

it('refuses a device of its own for a model that runs on `devices`', () => {
  const models = { m: { path: 'w.safetensors', device: 'cpu' } } as const;
  expect(() => createServer({ models, devices: ['cpu'] })).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('not both') as string,
    }) as Error,
  );
});

it.each<[string, { devices?: ['cpu'] }, boolean[], number]>([
  ['one of its devices works', { devices: ['cpu'] }, [true, true, false], 200],
  ['all of its devices are lost', { devices: ['cpu'] }, [true, true], 503],
  ['its only device is lost, of which the batcher does not tell', {}, [false], 503],
])('a server whose request met a lost device: %s', async (_, options, lost, health) => {
  const server = await start({ models: { m: model }, grpcPort: false, ...options });
  const batcher = new Batcher(model);
  const stats = batcher.stats();
  await batcher.close();
  jest
    .spyOn(Batcher.prototype, 'forward')
    .mockRejectedValue(new TokenLearnerError('ERR_DEVICE_LOST', 'The device is lost'));
  const counts = { running: 0, batches: 0, images: 0 };
  const devices = lost.map((each, i) => ({ device: `cuda:${i}` as const, ...counts, lost: each }));
  jest.spyOn(Batcher.prototype, 'stats').mockReturnValue({ ...stats, devices });
  try {
    const { status } = await post(server, binaryMessage(Tensor.ones([1, CHANNELS, 2, 2])));
    const live = await fetch(urlOf(server, '/v2/health/live'));
    const ready = await fetch(urlOf(server, '/v2/models/m/ready'));
    expect([status, live.status, ready.status]).toEqual([503, health, health]);
  } finally {
    jest.restoreAllMocks();
  }
});
