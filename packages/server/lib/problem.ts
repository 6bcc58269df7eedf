/** What can go wrong with a request, and the status that HTTP, gRPC and the metrics have for it. */
import { status } from '@grpc/grpc-js';
import { TokenLearnerError } from 'tokenlearner';

interface Kind {
  /** The HTTP status. */
  http: number;
  /** The gRPC status code. */
  grpc: status;
  /** The `reason` of nv_inference_request_failure. */
  reason: FailureReason;
}

/** The reasons that Triton's metric knows. */
export type FailureReason = 'REJECTED' | 'CANCELED' | 'BACKEND' | 'OTHER';

const KINDS = {
  invalid: { http: 400, grpc: status.INVALID_ARGUMENT, reason: 'OTHER' },
  unauthenticated: { http: 401, grpc: status.UNAUTHENTICATED, reason: 'OTHER' },
  forbidden: { http: 403, grpc: status.PERMISSION_DENIED, reason: 'OTHER' },
  'not-found': { http: 404, grpc: status.NOT_FOUND, reason: 'OTHER' },
  'too-slow': { http: 408, grpc: status.DEADLINE_EXCEEDED, reason: 'OTHER' },
  'too-large': { http: 413, grpc: status.RESOURCE_EXHAUSTED, reason: 'OTHER' },
  'unsupported-media': { http: 415, grpc: status.INVALID_ARGUMENT, reason: 'OTHER' },
  busy: { http: 429, grpc: status.RESOURCE_EXHAUSTED, reason: 'REJECTED' },
  // What nginx logs for a client that has gone. Nobody reads it.
  cancelled: { http: 499, grpc: status.CANCELLED, reason: 'CANCELED' },
  internal: { http: 500, grpc: status.INTERNAL, reason: 'BACKEND' },
  unavailable: { http: 503, grpc: status.UNAVAILABLE, reason: 'REJECTED' },
  timeout: { http: 504, grpc: status.DEADLINE_EXCEEDED, reason: 'REJECTED' },
} as const satisfies Record<string, Kind>;

export type ProblemKind = keyof typeof KINDS;

/**
 * The most characters of a message. gRPC sends it as a trailer, where a character takes up to nine bytes: clients refuse 8 KB of trailers,
 * and a connection over which HTTP/2 cannot send them answers nothing any more.
 */
const LONGEST_MESSAGE = 800;
/** The most characters of a client's own text in messages and in the log. */
const LONGEST_TEXT = 100;
const ELLIPSIS = '...';

/** The text as well-formed UTF-16, cut to `most` characters. */
export function shortened(text: string, most = LONGEST_TEXT): string {
  const short = text.length > most ? `${text.slice(0, most - ELLIPSIS.length)}${ELLIPSIS}` : text;
  return Buffer.from(short).toString();
}

/** What a client sent, for a message. */
export function quoted(text: string): string {
  return JSON.stringify(shortened(text));
}

/** A text that HTTP/2 can send as the message of a status. */
export function boundedMessage(text: string): string {
  return shortened(text, LONGEST_MESSAGE);
}

/** A request that fails, with the reason for its client. Long messages are cut. */
export class Problem extends Error {
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind, message: string, options?: ErrorOptions) {
    super(boundedMessage(message), options);
    this.name = 'Problem';
    this.kind = kind;
  }

  get http(): number {
    return KINDS[this.kind].http;
  }

  get grpc(): status {
    return KINDS[this.kind].grpc;
  }

  get reason(): FailureReason {
    return KINDS[this.kind].reason;
  }
}

/** The kinds of the package's own errors. Any other is 'internal'. */
const OF_CODE: Partial<Record<TokenLearnerError['code'], ProblemKind>> = {
  ERR_INVALID_ARG_TYPE: 'invalid',
  ERR_INVALID_ARG_VALUE: 'invalid',
  ERR_OUT_OF_RANGE: 'invalid',
  ERR_SHAPE_MISMATCH: 'invalid',
  ERR_DTYPE_MISMATCH: 'invalid',
  ERR_QUEUE_FULL: 'busy',
  ERR_TIMEOUT: 'timeout',
  ERR_CLOSED: 'unavailable',
  ERR_DEVICE_LOST: 'unavailable',
  ERR_OUT_OF_MEMORY: 'unavailable',
};

/** Any caught value as a problem. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TokenLearnerError)
    return new Problem(OF_CODE[error.code] ?? 'internal', `${error.message} [${error.code}]`, {
      cause: error,
    });
  return new Problem('internal', 'The model failed', { cause: error });
}

/** A problem of the request's content: 400, INVALID_ARGUMENT. */
export function invalid(message: string): Problem {
  return new Problem('invalid', message);
}
