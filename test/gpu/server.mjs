/** The server on the GPU: the numbers of concurrent requests over HTTP, its metrics, and its end. */
import { Tensor, TokenLearner } from '../../dist/index.mjs';
import { createServer } from '../../packages/server/dist/index.mjs';
import { sameBits } from './numbers.mjs';

const DIM = 96;
/** Height and width. */
const SIZES = [
  [5, 7],
  [9, 9],
  [14, 14],
];
const REQUESTS = 48;

/** Sends an input in the binary tensor extension. Resolves to the tokens. */
async function infer(url, { data, shape }) {
  const parameters = { binary_data_size: data.byteLength };
  const head = JSON.stringify({
    parameters: { binary_data_output: true },
    inputs: [{ name: 'input', datatype: 'FP32', shape, parameters }],
  });
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(Buffer.byteLength(head)),
    },
    body: Buffer.concat([Buffer.from(head), Buffer.from(data.buffer, data.byteOffset, data.byteLength)]),
  });
  if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  const body = await response.arrayBuffer();
  return new Float32Array(body.slice(Number(response.headers.get('inference-header-content-length'))));
}

/** The values of a metric, without its labels. */
function valuesOf(text, name) {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return lines.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
}

export async function runServer(check, { device }) {
  const model = new TokenLearner({ dim: DIM, device });
  const server = createServer({ models: { m: model }, httpPort: 0, grpcPort: 0 });
  const { httpPort } = await server.listen();
  const address = `http://127.0.0.1:${httpPort}`;
  const inputs = Array.from({ length: REQUESTS }, (_, i) =>
    Tensor.randn([1, DIM, ...SIZES[i % SIZES.length]]),
  );
  const alone = [];
  for (const x of inputs) alone.push((await model.forward(x)).data.slice());
  const answers = await Promise.all(inputs.map((x) => infer(`${address}/v2/models/m/infer`, x)));
  const same = answers.filter((tokens, i) => sameBits(tokens, alone[i])).length;
  check(
    'server: concurrent requests get the bits of model.forward',
    same === REQUESTS,
    `${same} of ${REQUESTS}`,
  );
  const metrics = await (await fetch(`${address}/metrics`)).text();
  const [count] = valuesOf(metrics, 'nv_inference_count');
  check('server: its metrics count the images', count === REQUESTS, `${count}`);
  if (device !== 'cpu') {
    const [total] = valuesOf(metrics, 'nv_gpu_memory_total_bytes');
    const [used] = valuesOf(metrics, 'nv_gpu_memory_used_bytes');
    const [utilisation] = valuesOf(metrics, 'nv_gpu_utilization');
    const isRight = total > used && used > 0 && utilisation >= 0 && utilisation <= 1;
    check("server: the GPU's metrics", isRight, `${used} of ${total} bytes, utilisation ${utilisation}`);
  }
  await server.close();
  model.dispose();
}
