/** W3C Trace Context, https://www.w3.org/TR/trace-context. */

/** The ids that link a log line to a trace. */
export interface TraceIds {
  trace_id: string;
  span_id: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const ZEROS = /^0+$/;

/** Reads a traceparent. Undefined if there is none or it is not valid; the standard says to ignore it then. */
export function parseTraceparent(value: unknown): TraceIds | undefined {
  const match = typeof value === 'string' ? TRACEPARENT.exec(value.trim()) : null;
  const [, version, trace = '', span = '', rest] = match ?? [];
  if (version === undefined || version === 'ff' || ZEROS.test(trace) || ZEROS.test(span)) return undefined;
  if (version === '00' && rest !== undefined) return undefined;
  return { trace_id: trace, span_id: span };
}
