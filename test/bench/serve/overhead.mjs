/**
 * Measures how much processor time a request takes of the server, and of a plain Node server that drops its body. A body has 256 KiB, in
 * the binary extension, and the model has little to compute. The two servers take turns, each in a process of its own.
 *
 *   node test/bench/serve/overhead.mjs [--rounds N] [--seconds S] [--connections N]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Tensor, TokenLearner } from '../../../dist/index.mjs';
import { createServer } from '../../../packages/server/dist/index.mjs';
import { createClient } from './clients.mjs';
import { median } from '../statistics.mjs';

const SHAPE = [1, 1024, 8, 8];
/** An ordinary number: products of subnormal ones are slow. */
const VALUE = 0.5;
const [WARM_UP, FORWARDS] = [500, 2000];

const SERVERS = {
  async tokenlearner() {
    const model = new TokenLearner({ dim: 1024, numOutputTokens: 1, numLayers: 1, device: 'cpu' });
    const server = createServer({ models: { m: model }, httpPort: 0, grpcPort: 0, logger: 'silent' });
    const { httpPort } = await server.listen();
    return { port: httpPort, model: await costOf(model) };
  },
  async 'plain Node server'() {
    const server = createHttpServer((request, response) => {
      request.resume().on('end', () => response.end('{}'));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return { port: server.address().port, model: 0 };
  },
};

function cpuTime() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Microseconds of processor time of one forward. */
async function costOf(model) {
  const input = Tensor.full(SHAPE, VALUE);
  const forwards = async (count) => {
    for (let i = 0; i < count; i++) (await model.forward(input)).dispose();
  };
  await forwards(WARM_UP);
  const before = cpuTime();
  await forwards(FORWARDS);
  return (cpuTime() - before) / FORWARDS;
}

/** The process of a server: tells its port, then its processor time whenever it is asked. */
async function serve(name) {
  const made = await SERVERS[name]();
  process.on('message', () => process.send(cpuTime()));
  process.on('disconnect', () => process.exit());
  process.send(made);
}

async function start(name) {
  const child = fork(fileURLToPath(import.meta.url), ['--serve', name]);
  const [{ port, model }] = await once(child, 'message');
  return { name, child, port, model, samples: { cpu: [], latency: [] } };
}

async function cpuOf(child) {
  child.send('cpu');
  const [time] = await once(child, 'message');
  return time;
}

/** Microseconds of processor time of one request, and of its median latency. */
async function measure({ child, port }, connections, ms) {
  const values = new Float32Array(SHAPE.reduce((a, b) => a * b)).fill(VALUE);
  const client = createClient('binary', { port, connections }, { values, shape: SHAPE });
  const latencies = [];
  const run = async (until) => {
    while (performance.now() < until) {
      const started = performance.now();
      if ((await client.send()) !== 'answered') throw new Error('A request failed');
      latencies.push((performance.now() - started) * 1e3);
    }
  };
  const all = (until) => Promise.all(Array.from({ length: connections }, () => run(until)));
  await all(performance.now() + ms / 4);
  latencies.length = 0;
  const before = await cpuOf(child);
  await all(performance.now() + ms);
  const cpu = (await cpuOf(child)) - before;
  await client.close();
  return { cpu: cpu / latencies.length, latency: median(latencies) };
}

async function main(values) {
  const [rounds, ms, connections] = [
    Number(values.rounds),
    Number(values.seconds) * 1e3,
    Number(values.connections),
  ];
  console.log(
    `Node ${process.version}, ${cpus().length} x ${cpus()[0].model}; load before: ${loadavg()[0].toFixed(1)}`,
  );
  const servers = [];
  for (const name of Object.keys(SERVERS)) servers.push(await start(name));
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) {
      const { cpu, latency } = await measure(server, connections, ms);
      server.samples.cpu.push(cpu);
      server.samples.latency.push(latency);
    }
  }
  console.table(
    servers.map(({ name, model, samples }) => ({
      server: name,
      'CPU us/request': Math.round(median(samples.cpu)),
      'of it the model': Math.round(model),
      'overhead: requests /s a core': Math.round(1e6 / (median(samples.cpu) - model)),
      'latency p50 us': Math.round(median(samples.latency)),
    })),
  );
  for (const { child } of servers) child.disconnect();
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '4' },
    serve: { type: 'string' },
  },
});
await (values.serve === undefined ? main(values) : serve(values.serve));
