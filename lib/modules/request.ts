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

/** A signal and a timeout that were checked. The object inherits nothing, so what it lacks is undefined. */
export function controlOf(signal?: AbortSignalLike, timeoutMs?: number): RequestOptions {
  const control = Object.create(null) as RequestOptions;
  if (signal !== undefined) control.signal = signal;
  if (timeoutMs !== undefined) control.timeoutMs = timeoutMs;
  return control;
}

/** Neither signal nor timeout. */
const NO_CONTROL = Object.freeze(controlOf());

/** Checks a caller's signal and timeout. Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE. */
export function checkRequest(options: { signal?: unknown; timeoutMs?: unknown }): RequestOptions {
  const { signal, timeoutMs } = options;
  if (signal === undefined && timeoutMs === undefined) return NO_CONTROL;
  if (signal !== undefined && !isSignal(signal))
    throw unexpected('ERR_INVALID_ARG_TYPE', 'options.signal', 'an AbortSignal', signal);
  if (timeoutMs !== undefined && checkNumber('options.timeoutMs', timeoutMs, 0) > LONGEST)
    throw unexpected('ERR_OUT_OF_RANGE', 'options.timeoutMs', `a number from 0 to ${LONGEST}`, timeoutMs);
  return controlOf(signal, timeoutMs as number | undefined);
}

/** The error of a forward that took longer than its timeout. */
export function timedOut(timeoutMs: number): TokenLearnerError {
  return new TokenLearnerError('ERR_TIMEOUT', `The forward did not finish within ${timeoutMs} ms`);
}

/** Starts a request. `isControlled` is true if it may be cancelled or time out. */
type Start<T> = (isControlled: boolean, timeoutMs?: number) => Promise<T>;

/**
 * Starts a request. The promise settles as the request does, unless its signal or timeout rejects it first.
 *
 * @param cancel - removes the request from the queue, or makes it drop its results. It may be called before `start` has started anything.
 */
export function request<T>(control: RequestOptions, start: Start<T>, cancel: () => void): Promise<T> {
  return control === NO_CONTROL ? start(false) : controlled(control, start, cancel);
}

function isAborted(signal: AbortSignalLike | undefined): boolean {
  return signal?.aborted === true;
}

interface Listener {
  stops: Set<() => void>;
  listener: () => void;
}

/** One listener for all requests of a signal: Node warns of more than ten. */
const listeners = new WeakMap<AbortSignalLike, Listener>();

/** Calls `stop` when the signal is aborted, until the returned function is called. */
function listen(signal: AbortSignalLike, stop: () => void): () => void {
  let known = listeners.get(signal);
  if (known === undefined) {
    const stops = new Set<() => void>();
    const listener = (): void => {
      for (const each of [...stops]) each();
    };
    signal.addEventListener('abort', listener);
    known = { stops, listener };
    listeners.set(signal, known);
  }
  const { stops, listener } = known;
  stops.add(stop);
  return () => {
    stops.delete(stop);
    if (stops.size > 0) return;
    listeners.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

async function controlled<T>(
  { signal, timeoutMs }: RequestOptions,
  start: Start<T>,
  cancel: () => void,
): Promise<T> {
  // The caller chooses the reason. It can have any type.

  if (isAborted(signal)) throw signal?.reason;
  let stop: (reason: unknown) => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = (reason) => {
      cancel();
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      reject(reason);
    };
  });
  stopped.catch(() => undefined);
  // Before the start, which may run the caller's code: a module's own forward, or getters.
  const unlisten =
    signal &&
    listen(signal, () => {
      stop(signal.reason);
    });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const running = start(true, timeoutMs);
    // Aborted by that code: there was nothing to cancel yet.
    if (isAborted(signal)) cancel();
    if (timeoutMs !== undefined) {
      timer = setTimeout(() => {
        stop(timedOut(timeoutMs));
      }, timeoutMs);
    }
    return await Promise.race([stopped, running]);
  } finally {
    clearTimeout(timer);
    unlisten?.();
  }
}
