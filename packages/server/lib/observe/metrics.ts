/** Prometheus metrics, with the names that Triton gives them. They are read when they are asked for; a request only counts. */
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Core } from '../core';
import type { Figures } from '../models/figures';
import { type ServedModel, VERSION } from '../models/served-model';
import { FAILURE_REASONS, type ModelStatistics } from '../models/statistics';
import { eventLoopSampler } from './event-loop';
import { gpuMetrics } from './gpu';
import { snapshotHistogram } from './snapshot-histogram';

const MICROSECONDS = 1000;
const LABELS = ['model', 'version'] as const;

/** [name, help, value] of the counters with the labels model and version. */
const COUNTERS: readonly (readonly [string, string, (s: ModelStatistics, b: Figures) => number])[] = [
  ['nv_inference_request_success', 'Requests that succeeded', (s) => s.succeeded],
  ['nv_inference_count', 'Inferences: images, not requests', (_, b) => b.images],
  ['nv_inference_exec_count', 'Executions of the model: batches', (_, b) => b.executions],
  [
    'nv_inference_request_duration_us',
    'Time of requests from their header fields to the end of the answer, in microseconds',
    (s) => s.sums.total * MICROSECONDS,
  ],
  [
    'nv_inference_queue_duration_us',
    'Time in the queue, in microseconds',
    (_, b) => b.queueMs * MICROSECONDS,
  ],
  [
    'nv_inference_compute_input_duration_us',
    'Time until the input was whole in native memory, in microseconds',
    (s) => s.sums.input * MICROSECONDS,
  ],
  [
    'nv_inference_compute_infer_duration_us',
    'Time in the model, in microseconds',
    (_, b) => b.computeMs * MICROSECONDS,
  ],
  [
    'nv_inference_compute_output_duration_us',
    'Time to encode the answers, in microseconds',
    (s) => s.sums.output * MICROSECONDS,
  ],
];

const GAUGES: readonly (readonly [string, string, (s: ModelStatistics, b: Figures) => number])[] = [
  ['nv_inference_pending_request_count', 'Requests that wait in the queue', (_, b) => b.queued],
  ['tokenlearner_pending_input_bytes', 'Bytes of the inputs that wait in the queue', (_, b) => b.queuedBytes],
  ['tokenlearner_requests_under_way', 'Requests from their header fields to their answer', (s) => s.pending],
];

type Labels = Record<(typeof LABELS)[number], string>;

function labelsOf(model: ServedModel): Labels {
  return { model: model.name, version: VERSION };
}

let processRegistry: Registry | undefined;

/**
 * prom-client's default metrics, made once for the process: it never stops what measures them. Each time a server is asked for them,
 * those of the event loop begin anew for all servers.
 */
function processMetrics(): Registry {
  if (processRegistry === undefined) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

/** The metrics of one server. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #process = processMetrics();
  readonly #stopSampling: () => void;

  constructor(core: Core) {
    const registers = [this.#registry];
    const models = core.models.all();
    const each = (set: (labels: Labels, s: ModelStatistics, b: Figures) => void): void => {
      for (const model of models) set(labelsOf(model), model.statistics, model.figures());
    };
    for (const [name, help, value] of COUNTERS)
      new Counter({
        name,
        help,
        labelNames: LABELS,
        registers,
        collect() {
          this.reset();
          each((labels, s, b) => {
            this.inc(labels, value(s, b));
          });
        },
      });
    for (const [name, help, value] of GAUGES)
      new Gauge({
        name,
        help,
        labelNames: LABELS,
        registers,
        collect() {
          each((labels, s, b) => {
            this.set(labels, value(s, b));
          });
        },
      });
    failures(registers, each);
    gpuMetrics(registers);
    for (const histogram of batchHistograms(models)) this.#registry.registerMetric(histogram);
    this.#stopSampling = eventLoopSampler(
      new Histogram({
        name: 'tokenlearner_event_loop_delay_seconds',
        help: 'How late the event loop was, sampled every 20 ms',
        buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
        registers,
      }),
    );
  }

  route(app: FastifyInstance): void {
    app.get('/metrics', async (_request, reply) => {
      void reply.header('content-type', this.#registry.contentType);
      return Registry.merge([this.#process, this.#registry]).metrics();
    });
  }

  close(): void {
    this.#stopSampling();
    this.#registry.clear();
  }
}

function failures(
  registers: Registry[],
  each: (set: (labels: Labels, s: ModelStatistics) => void) => void,
): void {
  new Counter({
    name: 'nv_inference_request_failure',
    help: 'Requests that failed, by reason',
    labelNames: [...LABELS, 'reason'],
    registers,
    collect() {
      this.reset();
      each((labels, { failed }) => {
        for (const reason of FAILURE_REASONS) this.inc({ ...labels, reason }, failed[reason]);
      });
    },
  });
}

function batchHistograms(models: readonly ServedModel[]): ReturnType<typeof snapshotHistogram>[] {
  const series = (pick: (figures: Figures) => Figures['batchSizes']) => () =>
    models.map((model) => ({
      labels: labelsOf(model),
      ...pick(model.figures()),
    }));
  return [
    snapshotHistogram(
      'tokenlearner_batch_size',
      'Images of a batch',
      series((figures) => figures.batchSizes),
    ),
    snapshotHistogram(
      'tokenlearner_queue_duration_seconds',
      'Time of a request in the queue',
      series((figures) => figures.queueTimes),
    ),
  ];
}
