/** The options of a server: their types, defaults and guards. */
import {
  type BatcherOptions,
  type DeviceOption,
  type LearnerStateDictOptions,
  Module,
  TokenLearnerError,
} from 'tokenlearner';
import type { Logger } from 'pino';
import {
  checkBoolean,
  checkDevice,
  checkInteger,
  checkObject,
  checkOneOf,
  checkString,
  checkTime,
  LONGEST_DELAY,
  unexpected,
} from './check';

/** How requests are queued and batched: the options of each model's Batcher. */
export interface BatchingOptions extends BatcherOptions {
  /** The most requests that wait. One more gets 429. @default 1024 */
  maxQueueSize?: number | undefined;
  /** The most bytes of inputs that wait or arrive. @default 1 GiB */
  maxQueueBytes?: number | undefined;
}

/** The engines that the learners have. */
const ENGINES = ['auto', 'fused', 'grouped-conv', 'libtorch'] as const;

/** What to make of weights whose names and shapes do not tell everything: see learnerFromStateDict. */
type LearnerChoice = Pick<LearnerStateDictOptions, 'prefix' | 'variant' | 'pooling' | 'eps' | 'approximate'>;

/** A model from a file. The options are for weights, and those that say so for a .pt2. */
export interface ModelFile extends LearnerChoice {
  /**
   * The weights of a TokenLearner, TokenLearnerV10 or TokenLearnerV11 (any file that loadWeights reads), or a JavaScript module (.js, .mjs, .cjs) whose default export is
   * a Module or a function that makes one. Such a module is a program and runs with the rights of the server. Or a compiled PyTorch
   * program (.pt2), which is machine code and needs `trusted`.
   */
  path: string;
  /** For weights and a .pt2: where the model runs. @default 'auto' */
  device?: DeviceOption | undefined;
  /** For weights: how it computes. @default 'auto' */
  engine?: (typeof ENGINES)[number] | undefined;
  /** For weights: the entry of a checkpoint that holds them, if it holds more. */
  key?: string | undefined;
  /** For a .pt2: must be true, since it runs with the rights of the server. */
  trusted?: boolean | undefined;
  /** For a .pt2: the most runs at a time. @default 1 */
  instances?: number | undefined;
}

/** The options of a file that are for weights. */
export const WEIGHTS_OPTIONS = [
  'device',
  'engine',
  'key',
  'prefix',
  'variant',
  'pooling',
  'eps',
  'approximate',
] as const satisfies readonly (keyof ModelFile)[];

/** The options of a file that are for .pt2 packages, beside `device`. */
export const PACKAGE_OPTIONS = ['trusted', 'instances'] as const satisfies readonly (keyof ModelFile)[];

/** A file, its options, or a module that the program has made. The server does not dispose the latter. */
export type ModelSource = string | ModelFile | Module;

/** Paths of PEM files. */
export interface TlsOptions {
  /** The certificate, with its chain. */
  cert: string;
  /** Its private key. */
  key: string;
}

export interface ServerOptions extends BatchingOptions {
  /** The models by name. A name has letters, digits, '.', '_' and '-'. */
  models: Readonly<Record<string, ModelSource>>;
  /** The address to listen on. Another than a loopback address needs `tokenFile` or `insecure`. @default '127.0.0.1' */
  host?: string | undefined;
  /** 0 is any free port. @default 8000 */
  httpPort?: number | undefined;
  /** 0 is any free port; false is no gRPC. @default 8001 */
  grpcPort?: number | false | undefined;
  /** A port of its own for the metrics. @default the HTTP port */
  metricsPort?: number | undefined;
  /** A file with one bearer token per line. Every request but those for health must have one of them. */
  tokenFile?: string | undefined;
  /** Serve without tokens on an address that other machines can reach. @default false */
  insecure?: boolean | undefined;
  /** Serve HTTPS, and gRPC over TLS. */
  tls?: TlsOptions | undefined;
  /** The most bytes of one request's body, also once it is inflated. @default 256 MiB */
  maxRequestBytes?: number | undefined;
  /** The most bytes of JSON in one request, and of the outputs in one answer. JSON blocks the event loop. @default 16 MiB */
  maxJsonBytes?: number | undefined;
  /** The deepest nesting of JSON. @default 32 */
  maxJsonDepth?: number | undefined;
  /** The most bytes of a request's header fields. @default 16 KiB */
  maxHeaderBytes?: number | undefined;
  /** The time in milliseconds in which an HTTP request must have arrived whole. @default 60000 */
  requestTimeoutMs?: number | undefined;
  /** The time in milliseconds that requests under way have once the server closes. @default 30000 */
  gracePeriodMs?: number | undefined;
  /** The log: a pino logger, or its level. @default 'silent' */
  logger?: Logger | LogLevel | undefined;
}

export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Defaulted =
  | 'host'
  | 'httpPort'
  | 'grpcPort'
  | 'insecure'
  | 'maxRequestBytes'
  | 'maxJsonBytes'
  | 'maxJsonDepth'
  | 'maxHeaderBytes'
  | 'requestTimeoutMs'
  | 'gracePeriodMs'
  | 'maxQueueSize'
  | 'maxQueueBytes'
  | 'logger';

/** Options after their checks. */
export type CheckedOptions = Omit<ServerOptions, Defaulted> & {
  [Name in Defaulted]: NonNullable<ServerOptions[Name]>;
};

const KIB = 1024;
const MIB = KIB * KIB;
const PORTS = 65_535;

const DEFAULTS = {
  host: '127.0.0.1',
  httpPort: 8000,
  grpcPort: 8001,
  insecure: false,
  maxRequestBytes: 256 * MIB,
  maxJsonBytes: 16 * MIB,
  maxJsonDepth: 32,
  maxHeaderBytes: 16 * KIB,
  requestTimeoutMs: 60_000,
  gracePeriodMs: 30_000,
  maxQueueSize: 1024,
  maxQueueBytes: 1024 * MIB,
  logger: 'silent',
} as const;

const GRACE_PERIOD = ['gracePeriodMs', 0, LONGEST_DELAY] as const;

/** The ranges of the integers that the server itself uses. The Batcher checks those that are for batches alone. */
const RANGES: readonly (readonly [key: keyof ServerOptions, min: number, max?: number])[] = [
  ['httpPort', 0, PORTS],
  ['metricsPort', 0, PORTS],
  ['maxRequestBytes', 1],
  ['maxJsonBytes', 1],
  ['maxJsonDepth', 4, 1000],
  ['maxHeaderBytes', KIB],
  ['requestTimeoutMs', 1, LONGEST_DELAY],
  GRACE_PERIOD,
  ['maxQueueSize', 1],
  ['maxQueueBytes', 1],
];

const BATCHING = [
  'maxBatchSize',
  'maxBatchPixels',
  'maxDelayMs',
  'maxQueueSize',
  'maxQueueBytes',
  'priorityLevels',
  'timeoutMs',
  'devices',
] as const satisfies readonly (keyof BatchingOptions)[];

/** Those that also apply to requests that run alone. */
const QUEUEING: readonly string[] = ['maxQueueSize', 'maxQueueBytes', 'timeoutMs'];

const ALLOWED = [...BATCHING, ...Object.keys(DEFAULTS), 'models', 'metricsPort', 'tokenFile', 'tls'];

/** Names that are parts of the protocol's paths. */
const RESERVED = new Set(['stats', 'ready', 'infer', 'versions']);
/** The most characters of a model's name. */
export const LONGEST_NAME = 128;
const NAME = new RegExp(String.raw`^[A-Za-z0-9][\w.-]{0,${LONGEST_NAME - 1}}$`);

/** Checks a caller's options. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE. */
export function checkOptions(options: unknown): CheckedOptions {
  const given = checkObject('options', options, ALLOWED);
  const kept = Object.entries(given).filter(([, value]) => value !== undefined);
  const merged = { ...DEFAULTS, ...Object.fromEntries(kept) } as unknown as CheckedOptions;
  for (const [key, min, max] of RANGES)
    if (merged[key] !== undefined) checkInteger(`options.${key}`, merged[key], min, max);
  if (merged.grpcPort !== false) checkInteger('options.grpcPort', merged.grpcPort, 0, PORTS);
  if (merged.timeoutMs !== undefined) checkTime('options.timeoutMs', merged.timeoutMs);
  checkPorts(merged);
  checkString('options.host', merged.host);
  checkBoolean('options.insecure', merged.insecure);
  if (merged.tokenFile !== undefined) checkString('options.tokenFile', merged.tokenFile);
  if (merged.tls !== undefined) checkTls(merged.tls);
  checkLogger(merged.logger);
  checkModels(merged.models);
  checkDevices(merged);
  checkExposure(merged);
  return merged;
}

/** The grace period that the options of a `close` ask for, if any. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE. */
export function checkCloseOptions(options: unknown): number | undefined {
  const [name, min, max] = GRACE_PERIOD;
  const given = options === undefined ? undefined : checkObject('options', options, [name])[name];
  return given === undefined ? undefined : checkInteger(`options.${name}`, given, min, max);
}

/** Each port but 0 can be opened once. */
function checkPorts(options: CheckedOptions): void {
  const taken = new Map<unknown, string>();
  for (const name of ['httpPort', 'grpcPort', 'metricsPort'] as const) {
    const port = options[name];
    if (port === 0 || port === false || port === undefined) continue;
    const other = taken.get(port);
    if (other !== undefined)
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected different ports for \`options.${other}\` and \`options.${name}\` but received ${port} for both`,
      );
    taken.set(port, name);
  }
}

/** The options of a model's Batcher. */
export function batchingOptions(options: CheckedOptions): BatchingOptions {
  return Object.fromEntries(
    BATCHING.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  );
}

/** The names of the given options that apply to batches alone. */
export function namesOfBatchOptions(options: CheckedOptions): string[] {
  return BATCHING.filter((key) => options[key] !== undefined && !QUEUEING.includes(key));
}

function checkTls(tls: unknown): void {
  const { cert, key } = checkObject('options.tls', tls, ['cert', 'key']);
  checkString('options.tls.cert', cert);
  checkString('options.tls.key', key);
}

function checkLogger(logger: unknown): void {
  if (typeof logger === 'string') {
    checkOneOf('options.logger', logger, LOG_LEVELS);
    return;
  }
  const { child } = checkObject('options.logger', logger);
  if (typeof child !== 'function')
    throw unexpected('ERR_INVALID_ARG_TYPE', 'options.logger', 'a pino logger or a level', logger);
}

function checkModels(models: unknown): void {
  const entries = Object.entries(checkObject('options.models', models));
  if (entries.length === 0)
    throw unexpected('ERR_INVALID_ARG_VALUE', 'options.models', 'at least one model', models);
  for (const [name, source] of entries) {
    if (!NAME.test(name) || RESERVED.has(name))
      throw unexpected(
        'ERR_INVALID_ARG_VALUE',
        'options.models',
        `names of letters, digits, '.', '_' and '-' other than ${[...RESERVED].join(', ')}`,
        name,
      );
    checkSource(`options.models.${name}`, source);
  }
}

/** Instances of tokenlearner's classes have it, whichever copy of the package they are of. */
const BRAND = Symbol.for('tokenlearner.brand');

function checkSource(name: string, source: unknown): void {
  if (source instanceof Module) return;
  if (typeof source === 'string') {
    checkString(name, source);
    return;
  }
  if (source !== null && typeof source === 'object' && BRAND in source)
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_TYPE',
      `Expected a module of the copy of tokenlearner that the server loads for \`${name}\` but received one of another copy: install it once`,
    );
  const allowed = ['path', ...WEIGHTS_OPTIONS, ...PACKAGE_OPTIONS];
  const { path, device, engine, trusted } = checkObject(name, source, allowed);
  checkString(`${name}.path`, path);
  if (device !== undefined) checkDevice(`${name}.device`, device);
  if (engine !== undefined) checkOneOf(`${name}.engine`, engine, ENGINES);
  if (trusted !== undefined) checkBoolean(`${name}.trusted`, trusted);
}

/** Each of `devices` gets a copy of the model, so a device of its own would only hold memory. */
function checkDevices({ models, devices }: CheckedOptions): void {
  if (devices === undefined) return;
  for (const [name, source] of Object.entries(models)) {
    if (source instanceof Module || typeof source === 'string' || source.device === undefined) continue;
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected either \`options.devices\` (--devices) or \`options.models.${name}.device\` (--device), not both: the model runs on \`devices\` alone`,
    );
  }
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function checkExposure({ host, tokenFile, insecure }: CheckedOptions): void {
  if (isLoopback(host) || tokenFile !== undefined || insecure) return;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected \`tokenFile\` (--token-file), or \`insecure\` (--insecure), with the host ${host}, which other machines can reach`,
  );
}
