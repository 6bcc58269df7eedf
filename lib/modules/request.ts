/** The options of every asynchronous forward: an AbortSignal and a timeout. */
import { TokenLearnerError } from '../errors';
import { checkNumber, unexpected } from '../validate';

/** The parts of an AbortSignal that a forward uses. It needs neither Node's types nor a browser's. */
export interface AbortSignalLike {
  /** True after the signal was aborted. */
  readonly aborted: boolean;
  /** The value that the forward rejects with. */
  readonly reason?: unknown;
  /** Adds a listener for 'abort'. */
  addEventListener(type: 'abort', listener: () => void): void;
  /** Removes a listener for 'abort'. */
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Options of every forward. */
export interface RequestOptions {
  /**
   * Aborts the forward, which then rejects at once with the signal's reason. A waiting forward leaves the queue. The results of
   * a running forward are dropped.
   */
  signal?: AbortSignalLike | undefined;
  /**
   * The time in milliseconds after which the forward is aborted in the same way, with ERR_TIMEOUT. From 0 to 2^31 - 1.
   *
   * @default no limit
   */
  timeoutMs?: number | undefined;
}

/** The option names of {@link RequestOptions}. */
export const REQUEST_OPTIONS = ['signal', 'timeoutMs'] as const;

/** The longest delay of a Node timer, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

function isSignal(value: unknown): value is AbortSignalLike {
  if (typeof value !== 'object' || value === null) return false;
  const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignalLike>;
  return (
    typeof aborted === 'boolean' &&
    typeof addEventListener === 'function' &&
    typeof removeEventListener === 'function'
  );
}

/** Neither signal nor timeout. */
const NO_CONTROL: RequestOptions = Object.freeze({});

/** Checks a caller's signal and timeout. Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE. */
export function checkRequest(options: { signal?: unknown; timeoutMs?: unknown }): RequestOptions {
  const { signal, timeoutMs } = options;
  if (signal === undefined && timeoutMs === undefined) return NO_CONTROL;
  if (signal !== undefined && !isSignal(signal))
    throw unexpected('ERR_INVALID_ARG_TYPE', 'options.signal', 'an AbortSignal', signal);
  if (timeoutMs !== undefined && checkNumber('options.timeoutMs', timeoutMs, 0) > LONGEST)
    throw unexpected('ERR_OUT_OF_RANGE', 'options.timeoutMs', `a number from 0 to ${LONGEST}`, timeoutMs);
  return {
    ...(signal && { signal }),
    ...(timeoutMs === undefined ? {} : { timeoutMs: timeoutMs as number }),
  };
}

/** The error of a forward that took longer than its timeout. */
export function timedOut(timeoutMs: number): TokenLearnerError {
  return new TokenLearnerError('ERR_TIMEOUT', `The forward did not finish within ${timeoutMs} ms`);
}

let lastId = 0;

/** A request's id for {@link NativeBinding.cancel}. It is unique among all unfinished requests. */
function nextId(): number {
  lastId = lastId === LONGEST ? 1 : lastId + 1;
  return lastId;
}

/**
 * Starts a request. The promise settles as the request does, unless its signal or timeout rejects it first.
 *
 * @param start - starts the request under an id; 0 means that nobody will cancel it.
 * @param cancel - removes the request from the queue, or makes it drop its results.
 */
export function request<T>(
  control: RequestOptions,
  start: (id: number, timeoutMs?: number) => Promise<T>,
  cancel: (id: number) => void,
): Promise<T> {
  return control === NO_CONTROL ? start(0) : controlled(control, start, cancel);
}

async function controlled<T>(
  { signal, timeoutMs }: RequestOptions,
  start: (id: number, timeoutMs?: number) => Promise<T>,
  cancel: (id: number) => void,
): Promise<T> {
  // The caller chooses the reason. It can have any type.

  if (signal?.aborted === true) throw signal.reason;
  const id = nextId();
  const running = start(id, timeoutMs);
  let stop: (reason: unknown) => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = (reason) => {
      cancel(id);
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      reject(reason);
    };
  });
  const onAbort = (): void => {
    stop(signal?.reason);
  };
  const onTimeout = (): void => {
    stop(timedOut(timeoutMs ?? 0));
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  signal?.addEventListener('abort', onAbort);
  try {
    return await Promise.race([running, stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
