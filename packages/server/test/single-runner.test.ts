/** Modules whose forward is JavaScript: whose fault an error is, and what counts as an inference. */
import * as grpc from '@grpc/grpc-js';
import pino from 'pino';
import { Module, Tensor, TokenLearnerError } from 'tokenlearner';
import { clientOf } from './grpc-support';
import { binaryMessage, bytes, CHANNELS, Gate, metricsOf, post, smallModel, start, until } from './support';

const x = Tensor.randn([2, CHANNELS, 3, 3]);

/** Fails as the test says, and otherwise computes. */
class Own extends Module {
  readonly inner = smallModel();
  error: Error | undefined;

  override async forward(input: Tensor): Promise<Tensor> {
    if (this.error !== undefined) throw this.error;
    return this.inner.forward(input);
  }
}

it.each(['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_OUT_OF_RANGE'] as const)(
  'says that the model failed where its own code gets %s, and logs why',
  async (code) => {
    const lines: string[] = [];
    const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
    const own = new Own();
    own.error = new TokenLearnerError(code, 'secret');
    const server = await start({ models: { m: own }, logger });
    const { status, body } = await post(server, binaryMessage(x));
    expect({ status, body: body.toString() }).toEqual({ status: 500, body: '{"error":"The model failed"}' });
    const input = { name: 'input', datatype: 'FP32', shape: x.shape };
    const request = { model_name: 'm', inputs: [input], raw_input_contents: [bytes(x)] };
    await expect(clientOf(server)('ModelInfer', request)).rejects.toMatchObject({
      code: grpc.status.INTERNAL,
      details: 'The model failed',
    });
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toContain('secret');
    expect(await metricsOf(server)).toContain(
      'nv_inference_request_failure{model="m",version="1",reason="BACKEND"} 2',
    );
  },
);

it.each([
  ['ERR_SHAPE_MISMATCH', 400],
  ['ERR_DTYPE_MISMATCH', 400],
  ['ERR_QUEUE_FULL', 429],
  ['ERR_OUT_OF_MEMORY', 503],
] as const)('answers %s of a module with %i', async (code, status) => {
  const own = new Own();
  own.error = new TokenLearnerError(code, 'why');
  const server = await start({ models: { m: own }, grpcPort: false });
  const answer = await post(server, binaryMessage(x));
  expect(answer.status).toBe(status);
  expect(answer.body.toString()).toContain('why');
});

it('counts as inferences what succeeded, as for models with batches', async () => {
  const own = new Own();
  const gate = new Gate();
  const server = await start({ models: { m: own, gate }, grpcPort: false });
  expect((await post(server, binaryMessage(x))).status).toBe(200);
  own.error = new Error('fails');
  expect((await post(server, binaryMessage(x))).status).toBe(500);
  // Eight run, and two wait; all of them end before the module does.
  const late = binaryMessage(x, {}, { parameters: { timeout: 100_000 } });
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => post(server, late, '/v2/models/gate/infer')),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 504));
  gate.open();
  await until(() => gate.aborted === 8);
  const metrics = await metricsOf(server);
  for (const [model, count, executions, waited] of [
    ['m', 2, 2, 2],
    ['gate', 0, 8, 8],
  ] as const) {
    const labels = `{model="${model}",version="1"}`;
    expect(metrics).toContain(`nv_inference_count${labels} ${count}\n`);
    expect(metrics).toContain(`nv_inference_exec_count${labels} ${executions}\n`);
    expect(metrics).toContain(`tokenlearner_queue_duration_seconds_count${labels} ${waited}\n`);
  }
  expect(metrics).toContain('nv_inference_compute_infer_duration_us{model="gate",version="1"} 0\n');
  expect(metrics).toContain('nv_inference_queue_duration_us{model="gate",version="1"} 0\n');
});

it.each(['tokenlearner_batch_size', 'tokenlearner_queue_duration_seconds'])(
  'has the bounds of models with batches in %s, since a reload can make one of the other',
  async (name) => {
    const server = await start({ models: { own: new Own(), batched: smallModel() }, grpcPort: false });
    const metrics = await metricsOf(server);
    const boundsOf = (model: string): (string | undefined)[] =>
      [...metrics.matchAll(new RegExp(`${name}_bucket{(.*)}`, 'g'))]
        .map(([, labels = '']) => labels)
        .filter((labels) => labels.includes(`model="${model}"`))
        .map((labels) => /le="([^"]*)"/.exec(labels)?.[1]);
    expect(boundsOf('own')).toEqual(boundsOf('batched'));
    expect(boundsOf('own').length).toBeGreaterThan(10);
  },
);
