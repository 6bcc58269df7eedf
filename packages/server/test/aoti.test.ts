/** Compiled PyTorch programs over HTTP and gRPC: several inputs and outputs, and all datatypes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { AotiModel, type AnyTensor, Tensor } from 'tokenlearner';
import { createServer, type InferenceServer } from '@tokenlearner/server';
import { describeWithPrograms } from '../../../test/lib/aoti/programs';
import { binaryReply, type InferenceJson, type Message, post, start, urlOf } from './support';

const ROOT = path.resolve(__dirname, '..', '..', '..');
const PROTO = path.join(__dirname, '..', 'proto', 'grpc_predict_v2.proto');
const definition = loadSync(PROTO, { keepCase: true, longs: Number, defaults: true });
const Client = grpc.makeGenericClientConstructor(
  definition['inference.GRPCInferenceService'] as grpc.ServiceDefinition,
  'inference',
);

interface Answer {
  outputs: { name: string; datatype: string; shape: number[] }[];
  raw_output_contents: Buffer[];
}

function bytesOf({ data }: AnyTensor): Buffer {
  return Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

function call(server: InferenceServer, method: string, request: object): Promise<Answer> {
  const client = new Client(`127.0.0.1:${server.address?.grpcPort ?? 0}`, grpc.credentials.createInsecure());
  return new Promise<Answer>((resolve, reject) => {
    const send = (client as unknown as Record<string, (...args: unknown[]) => void>)[method];
    send?.call(client, request, (error: grpc.ServiceError | null, answer: Answer) => {
      client.close();
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

async function json(server: InferenceServer, body: object, model = 'm'): Promise<InferenceJson> {
  const response = await fetch(urlOf(server, `/v2/models/${model}/infer`), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await response.json()) as InferenceJson;
}

describeWithPrograms('a compiled program in the server', ['conv', 'record', 'words'], (programs) => {
  const x = Tensor.from([1, 2, 3, 4, 5, 6, 7, 8], [2, 4]);
  const y = Tensor.from([1, 9, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [2, 6]);
  const input = (name: string, tensor: AnyTensor, more: object = {}) => ({
    name,
    datatype: 'FP32',
    shape: tensor.shape,
    ...more,
  });
  let model: AotiModel;
  let names: [string, string];
  let sum: number[];
  beforeAll(async () => {
    model = await AotiModel.load(programs().record.file, { trusted: true });
    names = model.inputs.map(({ name }) => name) as typeof names;
    const result = await model.forward<{ sum: Tensor }>(x, y);
    sum = Array.from(result.sum.data);
  });

  it('describes its inputs and outputs', async () => {
    const server = await start({ models: { m: model } });
    const response = await fetch(urlOf(server, '/v2/models/m'));
    expect(await response.json()).toMatchObject({
      inputs: [
        { name: names[0], datatype: 'FP32', shape: [-1, 4] },
        { name: names[1], datatype: 'FP32', shape: [-1, 6] },
      ],
      outputs: [{ name: 'sum' }, { name: 'parts_0' }, { name: 'parts_1_0' }],
      parameters: { batched: false },
    });
    expect(await call(server, 'ModelMetadata', { name: 'm' })).toMatchObject({
      inputs: [{ name: names[0] }, { name: names[1] }],
    });
  });

  it('takes several inputs as JSON, in any order, and gives several outputs', async () => {
    const server = await start({ models: { m: model } });
    const first = input(names[0], x, { data: Array.from(x.data) });
    const second = input(names[1], y, { data: Array.from(y.data) });
    for (const inputs of [
      [first, second],
      [second, first],
    ]) {
      const { outputs } = await json(server, { inputs });
      expect(outputs.map(({ name, datatype, shape }) => [name, datatype, shape])).toEqual([
        ['sum', 'FP32', [2, 6]],
        ['parts_0', 'FP32', [2, 6]],
        ['parts_1_0', 'INT64', [2]],
      ]);
      expect(outputs[2]?.data).toEqual([1, 5]);
      outputs[0]?.data?.forEach((value, i) => {
        expect(value).toBeCloseTo(sum[i] ?? NaN, 5);
      });
    }
    const { outputs } = await json(server, { inputs: [first, second], outputs: [{ name: 'parts_1_0' }] });
    expect(outputs.map(({ name }) => name)).toEqual(['parts_1_0']);
    for (const inputs of [
      [first],
      [first, first],
      [first, second, second],
      [first, { ...second, name: 'z' }],
    ])
      expect((await json(server, { inputs })).error).toContain(names[0]);
    expect((await json(server, { inputs: [first, { ...second, datatype: 'INT64' }] })).error).toContain(
      'FP32',
    );
    const short = input(names[1], y, { shape: [1, 6], data: Array.from(y.data.subarray(0, 6)) });
    expect((await json(server, { inputs: [first, short] })).error).toContain(names[1]);
  });

  it('takes several inputs as binary data, mixed with JSON', async () => {
    const server = await start({ models: { m: model } });
    const message = (inputs: object[], parts: Buffer[]): Message => {
      const head = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
      return {
        head: { 'Inference-Header-Content-Length': String(head.length) },
        body: Buffer.concat([head, ...parts]),
      };
    };
    const binary = (tensor: AnyTensor) => ({ parameters: { binary_data_size: tensor.byteLength } });
    const both = message(
      [input(names[1], y, binary(y)), input(names[0], x, binary(x))],
      [bytesOf(y), bytesOf(x)],
    );
    const mixed = message(
      [input(names[0], x, { data: Array.from(x.data) }), input(names[1], y, binary(y))],
      [bytesOf(y)],
    );
    for (const each of [both, mixed]) {
      const { json: answer, binary: data } = binaryReply(await post(server, each));
      expect(answer.outputs.map(({ shape }) => shape)).toEqual([[2, 6], [2, 6], [2]]);
      expect(data.length).toBe(48 + 48 + 16);
      expect(data.readFloatLE(0)).toBeCloseTo(sum[0] ?? NaN, 5);
      expect([data.readBigInt64LE(96), data.readBigInt64LE(104)]).toEqual([1n, 5n]);
    }
    const wrong = message(
      [input(names[0], x, binary(x)), input(names[1], y, binary(x))],
      [bytesOf(x), bytesOf(x)],
    );
    expect((await post(server, wrong)).status).toBe(400);
    const short = message([input(names[0], x, binary(x)), input(names[1], y, binary(y))], [bytesOf(x)]);
    expect((await post(server, short)).status).toBe(400);
  });

  it('takes several inputs over gRPC', async () => {
    const server = await start({ models: { m: model } });
    const inputs = [input(names[1], y), input(names[0], x)];
    const raw = { model_name: 'm', inputs, raw_input_contents: [bytesOf(y), bytesOf(x)] };
    const answer = await call(server, 'ModelInfer', raw);
    expect(answer.outputs.map(({ name, datatype }) => [name, datatype])).toEqual([
      ['sum', 'FP32'],
      ['parts_0', 'FP32'],
      ['parts_1_0', 'INT64'],
    ]);
    expect(answer.raw_output_contents[0]?.readFloatLE(0)).toBeCloseTo(sum[0] ?? NaN, 5);
    for (const wrong of [
      { ...raw, inputs: inputs.slice(1) },
      { ...raw, raw_input_contents: [bytesOf(x), bytesOf(y)] },
      { ...raw, inputs: [inputs[0], inputs[0]] },
    ])
      await expect(call(server, 'ModelInfer', wrong)).rejects.toMatchObject({
        code: grpc.status.INVALID_ARGUMENT,
      });
  });

  it('takes integers and booleans exactly', async () => {
    const server = await start({
      models: { m: { path: programs().words.file, trusted: true, instances: 2 } },
    });
    const words = await AotiModel.load(programs().words.file, { trusted: true });
    const [ids, mask] = words.inputs.map(({ name }) => name);
    const expected = await words.forward(
      Tensor.from([1n, 2n, 3n, 4n, 10n], [1, 5], { dtype: 'int64' }),
      Tensor.from([1, 0, 1, 1, 0], [1, 5], { dtype: 'bool' }),
    );
    const inputs = [
      { name: ids, datatype: 'INT64', shape: [1, 5], data: [1, 2, 3, 4, 10] },
      { name: mask, datatype: 'BOOL', shape: [1, 5], data: [true, false, true, true, false] },
    ];
    expect((await json(server, { inputs })).outputs[0]?.data?.map(Math.fround)).toEqual(
      Array.from(expected.data),
    );
    const typed = inputs.map(({ name, datatype, shape, data }) => ({
      name,
      datatype,
      shape,
      contents: datatype === 'BOOL' ? { bool_contents: data } : { int64_contents: data },
    }));
    const answer = await call(server, 'ModelInfer', { model_name: 'm', inputs: typed });
    expect(answer.raw_output_contents[0]?.readFloatLE(0)).toBe(expected.data[0]);
    const wrong: [object, string][] = [
      [{ data: [1, 2, 3, 4, 1.5] }, 'an integer'],
      [{ data: [1, 2, 3, 4, 'NaN'] }, 'an integer'],
      [{ data: [1, 2, 3, 4, 2 ** 60] }, 'an integer'],
    ];
    for (const [more, text] of wrong)
      expect((await json(server, { inputs: [{ ...inputs[0], ...more }, inputs[1]] })).error).toContain(text);
    const notBool = { ...inputs[1], data: [2, 0, 0, 0, 0] };
    expect((await json(server, { inputs: [inputs[0], notBool] })).error).toContain('true or false');
    // The program's own error: an id that the table does not have. The server goes on.
    const outside = { ...inputs[0], data: [11, 0, 0, 0, 0] };
    expect((await json(server, { inputs: [outside, inputs[1]] })).error).toContain('index out of bounds');
    expect((await json(server, { inputs })).outputs).toHaveLength(1);
  });

  it('batches a program of one input', async () => {
    const server = await start({ models: { m: { path: programs().conv.file, trusted: true } } });
    const picture = Tensor.randn([1, 3, 16, 16]);
    const conv = await AotiModel.load(programs().conv.file, { trusted: true });
    const expected = await conv.forward(picture);
    const inputs = [input(conv.inputs[0]?.name ?? '', picture, { data: Array.from(picture.data) })];
    const answers = await Promise.all(Array.from({ length: 12 }, () => json(server, { inputs })));
    for (const { outputs } of answers)
      outputs[0]?.data?.forEach((value, i) => {
        expect(value).toBeCloseTo(expected.data[i] ?? NaN, 5);
      });
    const metadata = await (await fetch(urlOf(server, '/v2/models/m'))).json();
    expect(metadata).toMatchObject({ parameters: { batched: true }, outputs: [{ name: 'output' }] });
  });

  it('serves a package, and a JavaScript module that makes one, from the command line', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-aoti-'));
    const program = path.join(folder, 'model.mjs');
    const { file } = programs().conv;
    writeFileSync(
      program,
      `import { AotiModel } from ${JSON.stringify(path.join(ROOT, 'dist', 'index.mjs'))};\n` +
        `export default () => AotiModel.load(${JSON.stringify(file)}, { trusted: true });\n`,
    );
    const args = [
      'serve',
      '-m',
      `a=${file}`,
      '-m',
      `b=${program}`,
      '--trusted',
      '--http-port',
      '0',
      '--no-grpc-port',
    ];
    const child = spawn(process.execPath, [path.join(ROOT, 'dist', 'cli', 'main.js'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    for await (const line of createInterface({ input: child.stdout })) {
      const { httpPort } = JSON.parse(line) as { httpPort?: number };
      if (httpPort === undefined) continue;
      for (const name of ['a', 'b']) {
        const response = await fetch(`http://127.0.0.1:${httpPort}/v2/models/${name}`);
        expect(await response.json()).toMatchObject({
          name,
          inputs: [{ datatype: 'FP32', shape: [-1, 3, 16, 16] }],
        });
      }
      child.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
    rmSync(folder, { recursive: true });
  });

  it('refuses a package without trust, and options that do not apply', async () => {
    const { file } = programs().conv;
    for (const [source, code] of [
      [file, 'ERR_UNTRUSTED_CODE'],
      [{ path: file, trusted: false }, 'ERR_UNTRUSTED_CODE'],
      [{ path: file, trusted: true, engine: 'fused' }, 'ERR_INVALID_ARG_VALUE'],
      [{ path: file, trusted: true, instances: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ path: 'weights.safetensors', trusted: true }, 'ERR_INVALID_ARG_VALUE'],
    ] as const)
      await expect(
        createServer({ httpPort: 0, grpcPort: 0, models: { m: source } }).listen(),
      ).rejects.toMatchObject({ code });
  });
});
