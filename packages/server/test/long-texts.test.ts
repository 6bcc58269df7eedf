/** Clients whose texts are too long, or no text, for a message. */
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import pino from 'pino';
import { Tensor } from 'tokenlearner';
import { clientOf, healthOf } from './grpc-support';
import { bodyOf, bytes, CHANNELS, jsonInput, jsonMessage, post, smallModel, start } from './support';

const LONG = 'x'.repeat(300_000);
const x = Tensor.randn([1, CHANNELS, 2, 2]);
/** How long a connection may take that HTTP/2 has stopped. */
const within = (): object => ({ deadline: Date.now() + 40_000 });

const input = { name: 'input', datatype: 'FP32', shape: x.shape };
const request = { model_name: 'm', inputs: [input], raw_input_contents: [bytes(x)] };

it.each<[string, object, string]>([
  ['model name', { ...request, model_name: LONG }, 'There is no model "xxx'],
  ['version', { ...request, model_version: LONG }, 'The model m has only the version 1, not "xxx'],
  ['output name', { ...request, outputs: [{ name: LONG }] }, 'Expected outputs among tokens, attention but'],
  ['input name', { ...request, inputs: [{ ...input, name: LONG }] }, 'Expected the input `input` but'],
  ['datatype', { ...request, inputs: [{ ...input, datatype: LONG }] }, 'Expected datatype FP32 for `input`'],
  [
    'name of an input with a wrong shape',
    { ...request, inputs: [{ ...input, name: LONG, shape: [-1] }] },
    'Expected an integer of at least 0 for `inputs[0].shape`',
  ],
  [
    'name of an input with a parameter that the server lacks',
    { ...request, inputs: [{ ...input, name: LONG, parameters: { sequence_id: { int64_param: 1 } } }] },
    'This server has no `sequence_id` (in `inputs[0].parameters`)',
  ],
])('a long %s is refused over gRPC, and the connection goes on', async (_, wrong, message) => {
  const call = clientOf(await start({ models: { m: smallModel() } }));
  const error = (await call('ModelInfer', wrong, within()).catch((reason: unknown) => reason)) as {
    details: string;
  };
  expect(error.details).toMatch(message);
  expect(error.details.length).toBeLessThan(1000);
  expect(await call('ServerLive', {}, within())).toEqual({ live: true });
});

it.each(['x', '\u{1F600}', 'x\u{1F600}'])(
  "bounds the messages of grpc.health.v1's library, for a name of %s and more",
  async (beginning) => {
    const check = healthOf(await start({ models: { m: smallModel() } }));
    const name = beginning + '\u{1F600}'.repeat(100_000);
    await expect(check(name, within())).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
    expect(await check('m', within())).toEqual({ status: 'SERVING' });
  },
);

it('shortens what a client sent in the bodies of errors and in the log, and gives the id back whole', async () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const server = await start({
    models: { m: smallModel() },
    grpcPort: false,
    logger: pino({ level: 'info' }, stream),
  });
  const wrong = await post(server, jsonMessage({ id: LONG, inputs: [jsonInput(x, { name: LONG })] }));
  expect(wrong.status).toBe(400);
  expect(wrong.body.length).toBeLessThan(1000);
  const right = await post(server, jsonMessage({ id: LONG, inputs: [jsonInput(x)] }));
  expect(bodyOf(right).id).toBe(LONG);
  while (lines.filter((line) => line.includes('inference')).length < 2) await sleep(2);
  for (const line of lines) expect(line.length).toBeLessThan(2000);
});
