/** Metrics, statistics, the status page, logs and traces. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import perfHooks from 'node:perf_hooks';
import { propagation, trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import pino from 'pino';
import { Tensor } from 'tokenlearner';
import type { InferenceServer } from '@tokenlearner/server';
import { binaryMessage, CHANNELS, RawClient, smallModel, start, urlOf } from './support';

const x = Tensor.randn([3, CHANNELS, 4, 4]);
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

async function infer(
  server: InferenceServer,
  head: Record<string, string> = {},
  model = 'm',
): Promise<number> {
  const client = new RawClient(server.address?.httpPort ?? 0);
  const message = binaryMessage(x);
  await client.post(`/v2/models/${model}/infer`, { ...message, head: { ...message.head, ...head } });
  const { status } = await client.reply();
  client.close();
  return status;
}

const text = async (url: string): Promise<string> => (await fetch(url)).text();

/** The samples of a page of metrics: name and labels -> value. */
function samples(page: string): Map<string, number> {
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

const LABELS = 'model="m",version="1"';

it("counts with Triton's names", async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  expect(await infer(server)).toBe(200);
  expect(await infer(server)).toBe(200);
  expect(await infer(server, { 'Content-Encoding': 'br' })).toBe(415);
  const found = samples(await text(urlOf(server, '/metrics')));
  expect(found.get(`nv_inference_request_success{${LABELS}}`)).toBe(2);
  expect(found.get(`nv_inference_request_failure{${LABELS},reason="OTHER"}`)).toBe(1);
  expect(found.get(`nv_inference_count{${LABELS}}`)).toBe(6);
  expect(found.get(`nv_inference_exec_count{${LABELS}}`)).toBe(2);
  expect(found.get(`nv_inference_pending_request_count{${LABELS}}`)).toBe(0);
  for (const part of ['request', 'compute_input', 'compute_infer', 'compute_output'])
    expect(found.get(`nv_inference_${part}_duration_us{${LABELS}}`)).toBeGreaterThan(0);
  expect(found.get(`nv_inference_queue_duration_us{${LABELS}}`)).toBeGreaterThanOrEqual(0);
  expect(found.get(`tokenlearner_batch_size_count{${LABELS}}`)).toBe(2);
  expect(found.get(`tokenlearner_batch_size_sum{${LABELS}}`)).toBe(6);
  expect(found.get(`tokenlearner_batch_size_bucket{${LABELS},le="2"}`)).toBe(0);
  expect(found.get(`tokenlearner_batch_size_bucket{${LABELS},le="4"}`)).toBe(2);
  expect(found.get(`tokenlearner_batch_size_bucket{${LABELS},le="+Inf"}`)).toBe(2);
  expect(found.get(`tokenlearner_queue_duration_seconds_count{${LABELS}}`)).toBe(2);
  expect(
    [...found.keys()].some((name) => name.startsWith('tokenlearner_event_loop_delay_seconds_bucket')),
  ).toBe(true);
});

it('measures the process once, for all servers', async () => {
  const models = { m: smallModel() };
  const first = await start({ models, grpcPort: false });
  const monitors = jest.spyOn(perfHooks, 'monitorEventLoopDelay');
  const observers = jest.spyOn(perfHooks.PerformanceObserver.prototype, 'observe');
  const second = await start({ models, grpcPort: false });
  const calls = [monitors.mock.calls.length, observers.mock.calls.length];
  jest.restoreAllMocks();
  expect(calls).toEqual([0, 0]);
  await first.close();
  const page = await text(urlOf(second, '/metrics'));
  for (const name of ['nodejs_eventloop_lag_p99_seconds', 'process_cpu_seconds_total'])
    expect([...samples(page).keys()]).toContain(name);
});

it('moves the metrics to a port of their own', async () => {
  const server = await start({ models: { m: smallModel() }, metricsPort: 0, grpcPort: false });
  expect((await fetch(urlOf(server, '/metrics'))).status).toBe(404);
  const page = await text(`http://127.0.0.1:${server.address?.metricsPort ?? 0}/metrics`);
  expect(page).toContain('nv_inference_request_success');
});

it('gives the GPU figures of nvidia-smi', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-smi-'));
  const program = path.join(folder, 'nvidia-smi');
  writeFileSync(program, '#!/bin/sh\necho "GPU-1, 81559, 1024, 37"\necho "GPU-2, [N/A], 1, 2"\n');
  chmodSync(program, 0o755);
  jest.replaceProperty(process, 'env', { ...process.env, PATH: `${folder}:${process.env.PATH ?? ''}` });
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  const found = samples(await text(urlOf(server, '/metrics')));
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true });
  expect(found.get('nv_gpu_memory_total_bytes{gpu_uuid="GPU-1"}')).toBe(81_559 * 2 ** 20);
  expect(found.get('nv_gpu_memory_used_bytes{gpu_uuid="GPU-1"}')).toBe(2 ** 30);
  expect(found.get('nv_gpu_utilization{gpu_uuid="GPU-1"}')).toBe(0.37);
  expect(found.has('nv_gpu_utilization{gpu_uuid="GPU-2"}')).toBe(false);
});

it('has a dashboard of metrics that exist', async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  const page = await text(urlOf(server, '/metrics'));
  const file = path.join(__dirname, '..', '..', '..', 'deploy', 'grafana', 'tokenlearner.json');
  const { panels, templating } = JSON.parse(readFileSync(file, 'utf8')) as {
    panels: { targets?: { expr: string }[] }[];
    templating: { list: { name: string; query: string }[] };
  };
  const variables = templating.list.filter(({ name }) => name !== 'datasource');
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  const selectors = [...expressions, ...variables.map(({ query }) => query)].flatMap((text) => [
    ...text.matchAll(/\b((?:nv|tokenlearner|process|nodejs)_\w+)(\{[^}]*\})?/g),
  ]);
  expect(selectors.length).toBeGreaterThan(10);
  for (const [, name = ''] of selectors)
    expect(page).toContain(
      `# TYPE ${name.replace(/_(?:bucket|sum|count)$/, (end) => (name.startsWith('nv_') ? end : ''))} `,
    );
  // Other programs of the same Prometheus have metrics of these names too. Only the list of jobs itself has all.
  const ofAll = selectors.filter(([, , labels = '']) => !labels.includes('job=~"$job"'));
  expect(ofAll.map(([, name]) => name)).toEqual(['tokenlearner_event_loop_delay_seconds_count']);
});

it('gives statistics in the form of the extension', async () => {
  const server = await start({ models: { m: smallModel(), n: smallModel() }, grpcPort: false });
  await infer(server);
  const { model_stats: all } = (await (await fetch(urlOf(server, '/v2/models/stats'))).json()) as {
    model_stats: object[];
  };
  expect(all).toHaveLength(2);
  const { model_stats: one } = (await (await fetch(urlOf(server, '/v2/models/m/stats'))).json()) as {
    model_stats: object[];
  };
  expect(one).toMatchObject([
    {
      name: 'm',
      version: '1',
      inference_count: 3,
      execution_count: 1,
      inference_stats: { success: { count: 1 }, fail: { count: 0, ns: 0 }, compute_infer: { count: 1 } },
    },
  ]);
});

it('has a page for people and a document for programs', async () => {
  const server = await start({ models: { m: smallModel() }, grpcPort: false });
  const response = await fetch(urlOf(server, '/'));
  expect(response.headers.get('content-type')).toContain('text/html');
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await response.text()).toContain('<td>m</td><td>ready</td>');
  const document = (await (await fetch(urlOf(server, '/openapi.json'))).json()) as {
    openapi: string;
    paths: object;
  };
  expect(document.openapi).toBe('3.1.0');
  expect(Object.keys(document.paths)).toContain('/v2/models/{name}/infer');
  const refs = JSON.stringify(document).match(/#\/components\/schemas\/(\w+)/g) ?? [];
  expect(refs.length).toBeGreaterThan(5);
  for (const ref of refs)
    expect(document).toHaveProperty(['components', 'schemas', ref.split('/').at(-1) ?? '']);
});

describe('logs', () => {
  const lines: Record<string, unknown>[] = [];
  const logger = pino(
    { level: 'info' },
    { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  beforeEach(() => lines.splice(0));

  it('have one line per inference, with the ids of the trace', async () => {
    const server = await start({ models: { m: smallModel() }, logger, grpcPort: false });
    await infer(server, { traceparent: `00-${TRACE}-${PARENT}-01` });
    await infer(server, { traceparent: '00-zz-1-01', 'Content-Encoding': 'br' });
    const requests = lines.filter(({ model }) => model === 'm');
    expect(requests).toMatchObject([
      { msg: 'inference', protocol: 'http', trace_id: TRACE, span_id: PARENT },
      { msg: 'inference failed', status: 415, error: expect.stringContaining('br') as string },
    ]);
    expect(requests[1]).not.toHaveProperty('trace_id');
  });
});

describe('traces', () => {
  const exporter = new InMemorySpanExporter();
  beforeAll(() => {
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );
    propagation.setGlobalPropagator({
      inject: () => undefined,
      fields: () => ['traceparent'],
      extract: (context, carrier) =>
        trace.setSpanContext(context, {
          traceId: (carrier as { traceparent: string }).traceparent.slice(3, 35),
          spanId: PARENT,
          traceFlags: 1,
          isRemote: true,
        }),
    });
  });
  afterAll(() => {
    trace.disable();
    propagation.disable();
  });

  it('have a span per inference, under the client’s', async () => {
    const server = await start({ models: { m: smallModel() }, grpcPort: false });
    await infer(server, { traceparent: `00-${TRACE}-${PARENT}-01` });
    const [span] = exporter.getFinishedSpans();
    expect(span).toMatchObject({ name: 'infer m', attributes: { 'network.protocol.name': 'http' } });
    expect(span?.spanContext().traceId).toBe(TRACE);
    expect(span?.parentSpanContext?.spanId).toBe(PARENT);
  });
});
