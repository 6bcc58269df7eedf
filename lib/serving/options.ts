/** The options of a batcher and of its requests, and their checks. */
import { type Device, type DeviceOption, resolveDevice } from '../device';
import { TokenLearnerError } from '../errors';
import type { BatchLimits } from '../native-interface';
import type { RequestOptions } from '../modules/request';
import type { TokenLearnerV11SyncOptions } from '../modules/token-learner-v11';
import { checkInteger, checkNumber, checkOptions, unexpected } from '../validate';

/** Options of a {@link Batcher}. */
export interface BatcherOptions {
  /**
   * The most images in a batch: the product of an input's leading dimensions, all before (C, H, W) for a TokenLearner, and the first
   * one for other modules. A request with more runs alone. At least 1, or Infinity. @default 64
   */
  maxBatchSize?: number | undefined;
  /** The most pixels in a batch, over all its images. A request with more runs alone. At least 1. @default Infinity */
  maxBatchPixels?: number | undefined;
  /**
   * How long a request may wait for others while the device is free, in milliseconds. 0 starts at once what there is: while the
   * device is busy, requests gather anyway. From 0 to 2^31 - 1. @default 0
   */
  maxDelayMs?: number | undefined;
  /** The most requests that may wait. One more is ERR_QUEUE_FULL at once. At least 1. @default Infinity */
  maxQueueSize?: number | undefined;
  /** The most bytes of input that may wait. At least 1. @default Infinity */
  maxQueueBytes?: number | undefined;
  /** The number of priorities. From 1 to 1000. @default 1 */
  priorityLevels?: number | undefined;
  /** The timeout of requests that name none: see {@link RequestOptions}. @default no limit */
  timeoutMs?: number | undefined;
  /**
   * Keeps a copy of the module on each of these devices, and gives each batch to the one with the least work. The copies follow
   * `loadStateDict`. If a device is lost, its requests run once more on another one. @default the module's own device
   */
  devices?: readonly DeviceOption[] | undefined;
}

/** Options of one {@link Batcher.forward}: those of the module's own forward, and a priority. */
export interface BatcherForwardOptions extends RequestOptions, TokenLearnerV11SyncOptions {
  /**
   * From 0 to `priorityLevels` - 1. A larger number is more urgent. A waiting request rises one level every 100 ms. @default 0
   */
  priority?: number | undefined;
}

/** Options of {@link Batcher.close}. */
export interface BatcherCloseOptions {
  /** True runs the requests that wait. False rejects them with ERR_CLOSED. Those that run finish in both cases. @default true */
  drain?: boolean | undefined;
}

const OPTIONS = [
  'maxBatchSize',
  'maxBatchPixels',
  'maxDelayMs',
  'maxQueueSize',
  'maxQueueBytes',
  'priorityLevels',
  'timeoutMs',
  'devices',
] as const;

const MOST_LEVELS = 1000;
const DEFAULT_BATCH_SIZE = 64;
/** The longest time of any timeout, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** What a batcher's constructor makes of its options. */
export interface BatcherSettings {
  limits: BatchLimits;
  levels: number;
  timeoutMs: number | undefined;
  devices: readonly Device[];
}

/** A positive integer or Infinity, which is no limit. */
function checkLimit(name: string, value: unknown): number | undefined {
  return value === undefined || value === Infinity ? undefined : checkInteger(name, value, { min: 1 });
}

function checkTime(name: string, value: unknown): number {
  const time = checkNumber(name, value, 0);
  if (time <= LONGEST) return time;
  throw unexpected('ERR_OUT_OF_RANGE', name, `a number from 0 to ${LONGEST}`, value);
}

function checkDevices(value: unknown): readonly Device[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length === 0)
    throw unexpected('ERR_INVALID_ARG_TYPE', 'options.devices', 'an array of at least one device', value);
  const devices = Array.from<unknown, Device>(value, (device, i) =>
    resolveDevice(`options.devices[${i}]`, device),
  );
  if (new Set(devices).size === devices.length) return devices;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected different devices for \`options.devices\` but received ${devices.join(', ')}`,
  );
}

/** Checks a caller's {@link BatcherOptions}. */
export function checkBatcherOptions(options: unknown): BatcherSettings {
  const given = checkOptions('options', options, OPTIONS);
  const levels =
    given.priorityLevels === undefined
      ? 1
      : checkInteger('options.priorityLevels', given.priorityLevels, { min: 1, max: MOST_LEVELS });
  const limits = {
    images: checkLimit('options.maxBatchSize', given.maxBatchSize ?? DEFAULT_BATCH_SIZE),
    pixels: checkLimit('options.maxBatchPixels', given.maxBatchPixels),
    requests: checkLimit('options.maxQueueSize', given.maxQueueSize),
    bytes: checkLimit('options.maxQueueBytes', given.maxQueueBytes),
  };
  return {
    limits: {
      ...(Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined)) as Partial<
        typeof limits
      >),
      levels,
      delay: checkTime('options.maxDelayMs', given.maxDelayMs ?? 0),
    } as BatchLimits,
    levels,
    timeoutMs: given.timeoutMs === undefined ? undefined : checkTime('options.timeoutMs', given.timeoutMs),
    devices: checkDevices(given.devices),
  };
}
