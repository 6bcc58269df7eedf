/** The protocol over gRPC, by clients that know the protocol's .proto alone. */
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { Tensor } from 'tokenlearner';
import type { InferenceServer } from '@tokenlearner/server';
import { addressOf, clientOf, keep, healthOf } from './grpc-support';
import {
  bytes,
  CHANNELS,
  floats,
  Gate,
  GROUPS,
  metricsOf,
  smallModel,
  start,
  until,
  untilWaiting,
} from './support';

const model = smallModel();
const x = Tensor.randn([2, CHANNELS, 5, 3]);
const { tokens, attention } = model.forwardSync(x, { returnAttention: true });

function request(more: object = {}, input: object = {}): object {
  return {
    model_name: 'm',
    id: 'i',
    inputs: [{ name: 'input', datatype: 'FP32', shape: x.shape, ...input }],
    raw_input_contents: [bytes(x)],
    ...more,
  };
}

const contents = { contents: { fp32_contents: Array.from(x.data) } };

describe('a client', () => {
  let call: ReturnType<typeof clientOf>;
  beforeEach(async () => {
    call = clientOf(await start({ models: { m: model } }));
  });

  it('reads health and metadata', async () => {
    expect(await call('ServerLive', {})).toEqual({ live: true });
    expect(await call('ServerReady', {})).toEqual({ ready: true });
    expect(await call('ModelReady', { name: 'm' })).toEqual({ ready: true });
    expect(await call('ServerMetadata', {})).toMatchObject({
      name: 'tokenlearner',
      extensions: ['binary_tensor_data'],
    });
    expect(await call('ModelMetadata', { name: 'm' })).toMatchObject({
      name: 'm',
      versions: ['1'],
      inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, CHANNELS, -1, -1] }],
      outputs: [{ name: 'tokens' }, { name: 'attention' }],
    });
  });

  it('gets tokens alone, or what it names, bit for bit', async () => {
    const alone = await call('ModelInfer', request());
    expect(alone).toMatchObject({
      id: 'i',
      model_name: 'm',
      outputs: [{ name: 'tokens', datatype: 'FP32', shape: [2, CHANNELS, GROUPS] }],
    });
    expect(alone.raw_output_contents).toEqual([bytes(tokens)]);
    const both = await call('ModelInfer', request({ outputs: [{ name: 'attention' }, { name: 'tokens' }] }));
    expect(both.outputs.map(({ name }) => name)).toEqual(['tokens', 'attention']);
    expect(both.raw_output_contents).toEqual([bytes(tokens), bytes(attention)]);
  });

  it('may send typed contents', async () => {
    const answer = await call('ModelInfer', request({ raw_input_contents: [] }, contents));
    expect(floats(answer.raw_output_contents[0] ?? Buffer.alloc(0))).toEqual(Array.from(tokens.data));
  });

  it('may ask for a timeout that no number holds exactly', async () => {
    const parameters = { timeout: { uint64_param: 2 ** 63 } };
    expect((await call('ModelInfer', request({ parameters }))).raw_output_contents).toEqual([bytes(tokens)]);
  });

  it('may send more than the 4 MiB of the defaults', async () => {
    const large = Tensor.zeros([1, CHANNELS, 1024, 512]);
    const answer = await call('ModelInfer', {
      ...request(),
      inputs: [{ name: 'input', datatype: 'FP32', shape: large.shape }],
      raw_input_contents: [bytes(large)],
    });
    expect(answer.outputs[0]?.shape).toEqual([1, CHANNELS, GROUPS]);
  });

  it.each<[string, object, grpc.status]>([
    ['an unknown model', request({ model_name: 'n' }), grpc.status.NOT_FOUND],
    ['an unknown version', request({ model_version: '7' }), grpc.status.NOT_FOUND],
    ['no input', request({ inputs: [] }), grpc.status.INVALID_ARGUMENT],
    ['another name', request({}, { name: 'x' }), grpc.status.INVALID_ARGUMENT],
    ['another datatype', request({}, { datatype: 'FP64' }), grpc.status.INVALID_ARGUMENT],
    ['another size', request({}, { shape: [2, CHANNELS, 5, 4] }), grpc.status.INVALID_ARGUMENT],
    ['a negative size', request({}, { shape: [-2, CHANNELS, 5, 3] }), grpc.status.INVALID_ARGUMENT],
    ['other channels', request({}, { shape: [2, 5, CHANNELS, 3] }), grpc.status.INVALID_ARGUMENT],
    [
      'too much raw data',
      request({ raw_input_contents: [bytes(x), bytes(x)] }),
      grpc.status.INVALID_ARGUMENT,
    ],
    ['no data', request({ raw_input_contents: [] }), grpc.status.INVALID_ARGUMENT],
    ['typed contents and raw data', request({}, contents), grpc.status.INVALID_ARGUMENT],
    [
      'contents of another type',
      request({ raw_input_contents: [] }, { contents: { int_contents: [1] } }),
      grpc.status.INVALID_ARGUMENT,
    ],
    ['an unknown output', request({ outputs: [{ name: 'y' }] }), grpc.status.INVALID_ARGUMENT],
    [
      'shared memory',
      request({}, { parameters: { shared_memory_region: { string_param: 'r' } } }),
      grpc.status.INVALID_ARGUMENT,
    ],
  ])('that sends %s learns why', async (_, wrong, code) => {
    await expect(call('ModelInfer', wrong)).rejects.toMatchObject({ code });
    expect((await call('ModelInfer', request())).raw_output_contents).toEqual([bytes(tokens)]);
  });
});

it('ends at its deadline, and cancels with its client', async () => {
  const gate = new Gate();
  const call = clientOf(await start({ models: { m: gate } }));
  // Again with more time where a pause kept the call from the model.
  for (let ms = 100; gate.started.length === 0; ms *= 4)
    await expect(call('ModelInfer', request(), { deadline: Date.now() + ms })).rejects.toMatchObject({
      code: grpc.status.DEADLINE_EXCEEDED,
    });
  await until(() => gate.aborted === gate.started.length);
  const before = gate.aborted;
  const timeout = { timeout: { int64_param: 20_000 } };
  await expect(call('ModelInfer', request({ parameters: timeout }))).rejects.toMatchObject({
    code: grpc.status.DEADLINE_EXCEEDED,
  });
  expect(gate.aborted).toBe(before + 1);
  gate.open();
});

it('refuses what is too large, and what the queue cannot hold', async () => {
  const call = clientOf(await start({ models: { m: model }, maxRequestBytes: 1000 }));
  const large = { ...request(), raw_input_contents: [Buffer.alloc(2000)] };
  await expect(call('ModelInfer', large)).rejects.toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED });
  const tight = clientOf(await start({ models: { m: model }, maxQueueBytes: 100 }));
  await expect(tight('ModelInfer', request())).rejects.toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
  });
});

/** The status of an inference of which only the metadata are sent, after at most `ms`. */
function statusWithoutMessage(server: InferenceServer, ms = 60_000): Promise<grpc.ServiceError | null> {
  const client = keep(new grpc.Client(addressOf(server), grpc.credentials.createInsecure()));
  const same = (buffer: Buffer): Buffer => buffer;
  return new Promise((resolve) => {
    client.makeClientStreamRequest(
      '/inference.GRPCInferenceService/ModelInfer',
      same,
      same,
      new grpc.Metadata(),
      { deadline: Date.now() + ms },
      resolve,
    );
  });
}

it('refuses before the message while the queue of the only model is full', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate }, maxQueueSize: 2 });
  const call = clientOf(server);
  // Eight run at a time.
  const accepted = Array.from({ length: 10 }, () => call('ModelInfer', request()));
  await untilWaiting(server, 2);
  expect(await statusWithoutMessage(server)).toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
    details: 'The queue is full; try again later',
  });
  await expect(call('ModelInfer', request())).rejects.toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
  });
  expect(await metricsOf(server)).toContain(
    'nv_inference_request_failure{model="m",version="1",reason="REJECTED"} 2',
  );
  gate.open();
  expect(await Promise.all(accepted)).toHaveLength(10);
  expect(await statusWithoutMessage(server, 300)).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
});

it('refuses before the message while it drains', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate, other: model } });
  const call = clientOf(server);
  const accepted = call('ModelInfer', request());
  await until(() => gate.started.length === 1);
  const closed = server.close();
  const refusals = await Promise.all([
    statusWithoutMessage(server),
    call('ModelInfer', request()).catch((error: unknown) => error),
  ]);
  for (const refusal of refusals) expect(refusal).toMatchObject({ code: grpc.status.UNAVAILABLE });
  gate.open();
  await accepted;
  await closed;
});

it('looks at the queue of the model that the message names, of several', async () => {
  const gate = new Gate();
  const server = await start({ models: { m: gate, other: model }, maxQueueSize: 2 });
  const call = clientOf(server);
  const accepted = Array.from({ length: 10 }, () => call('ModelInfer', request()));
  await untilWaiting(server, 2);
  await expect(call('ModelInfer', request())).rejects.toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
  });
  const other = await call('ModelInfer', request({ model_name: 'other' }));
  expect(other.raw_output_contents).toEqual([bytes(tokens)]);
  gate.open();
  await Promise.all(accepted);
});

it('tells its health by grpc.health.v1, and its services by reflection', async () => {
  const server = await start({ models: { m: model } });
  const check = healthOf(server);
  expect(await check('')).toEqual({ status: 'SERVING' });
  expect(await check('m')).toEqual({ status: 'SERVING' });
  await expect(check('n')).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
  expect(await listServices(addressOf(server))).toEqual(
    expect.arrayContaining(['inference.GRPCInferenceService', 'grpc.health.v1.Health']),
  );
});

/** Asks the reflection service, by its own description. */
async function listServices(address: string): Promise<string[]> {
  const proto = path.join(
    path.dirname(require.resolve('@grpc/reflection/package.json')),
    'build',
    'proto',
    'grpc',
    'reflection',
    'v1',
    'reflection.proto',
  );
  const reflection = loadSync(proto, { keepCase: true })['grpc.reflection.v1.ServerReflection'];
  const Reflection = grpc.makeGenericClientConstructor(reflection as grpc.ServiceDefinition, 'Reflection');
  const client = keep(new Reflection(address, grpc.credentials.createInsecure()));
  const stream = (
    client as unknown as {
      ServerReflectionInfo: () => grpc.ClientDuplexStream<
        object,
        { list_services_response: { service: { name: string }[] } }
      >;
    }
  ).ServerReflectionInfo();
  stream.write({ list_services: '' });
  const answer = await new Promise<{ list_services_response: { service: { name: string }[] } }>(
    (resolve, reject) => {
      stream.on('data', resolve).on('error', reject);
    },
  );
  stream.end();
  return answer.list_services_response.service.map(({ name }) => name);
}
