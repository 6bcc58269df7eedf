/** One inference request as the logs, metrics and traces see it. */
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Core } from './core';
import type { ServedModel } from './models/served-model';
import { parseTraceparent, type TraceIds } from './observe/trace-context';
import { type Problem, shortened } from './problem';

const INTERNAL = 500;

/** What a request says about itself before its body. */
export interface Origin {
  protocol: 'http' | 'grpc';
  /** Header fields, or metadata. */
  carrier: Readonly<Record<string, unknown>>;
}

export class TrackedRequest {
  readonly #core: Core;
  readonly #model: ServedModel;
  readonly #origin: Origin;
  readonly #started = performance.now();
  readonly #span: Span;
  readonly #context: Context;
  #input = 0;
  #output = 0;
  #id: string | undefined;

  constructor(core: Core, model: ServedModel, origin: Origin) {
    this.#core = core;
    this.#model = model;
    this.#origin = origin;
    const parent = propagation.extract(ROOT_CONTEXT, origin.carrier);
    this.#span = trace.getTracer('@tokenlearner/server', core.version).startSpan(
      `infer ${model.name}`,
      {
        kind: SpanKind.SERVER,
        attributes: { 'gen_ai.request.model': model.name, 'network.protocol.name': origin.protocol },
      },
      parent,
    );
    this.#context = trace.setSpan(parent, this.#span);
    model.statistics.pending += 1;
  }

  /** Marks the input as whole. */
  received(id: string | undefined): void {
    this.#input = performance.now() - this.#started;
    this.#id = id === undefined ? undefined : shortened(id);
  }

  /** Runs a function with the request's span as the active one. */
  run<T>(work: () => T): T {
    return context.with(this.#context, work);
  }

  /** Encodes the answer, and counts its time. */
  encode<T>(work: () => T): T {
    const started = performance.now();
    const result = work();
    this.#output = performance.now() - started;
    return result;
  }

  succeed(): void {
    const total = performance.now() - this.#started;
    this.#model.statistics.success({ total, input: this.#input, output: this.#output });
    this.#end();
    if (this.#core.log.isLevelEnabled('info')) this.#core.log.info(this.#fields(total), 'inference');
  }

  fail(problem: Problem): void {
    const total = performance.now() - this.#started;
    this.#model.statistics.failure(problem.reason, total);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: problem.message });
    this.#end();
    const fields = { ...this.#fields(total), status: problem.http, error: problem.message };
    if (problem.http === INTERNAL)
      this.#core.log.error({ ...fields, err: problem.cause ?? problem }, 'inference failed');
    else this.#core.log.warn(fields, 'inference failed');
  }

  #end(): void {
    this.#model.statistics.pending -= 1;
    this.#span.end();
  }

  #fields(total: number): Record<string, unknown> {
    return {
      model: this.#model.name,
      protocol: this.#origin.protocol,
      ...(this.#id === undefined ? {} : { id: this.#id }),
      ms: Math.round(total * 1000) / 1000,
      ...this.#traceIds(),
    };
  }

  /** The ids of the span; without an OpenTelemetry SDK, those of the client. */
  #traceIds(): TraceIds | undefined {
    const own = this.#span.spanContext();
    if (trace.isSpanContextValid(own)) return { trace_id: own.traceId, span_id: own.spanId };
    return parseTraceparent(this.#origin.carrier.traceparent);
  }
}
