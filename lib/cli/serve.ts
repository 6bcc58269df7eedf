import { Command, InvalidArgumentError, Option } from 'commander';
import type { DeviceOption } from '../device';
import { TokenLearnerError } from '../errors';
import { addLearnerOptions, LEARNER_NAMES, learnerOptions, type LearnerOptions } from './learner-options';
import { deviceName, fileName } from './options';
import { SilentFailure } from './silent-failure';
import { UsageError } from './usage-error';
import { version } from './version';
import { inWordsOfCommand } from './words';

const PACKAGE = '@tokenlearner/server';
const ENGINES = ['auto', 'fused', 'grouped-conv', 'libtorch'];
const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'];

/** What the server listens to. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The part of the server's package that this command uses. The package depends on this one, not the other way round. */
interface ServerPackage {
  /** Resolves to the exit code. */
  serve(options: Record<string, unknown>): Promise<number>;
}

interface Model {
  name: string;
  path: string;
}

const isCompiled = ({ path }: Model): boolean => /\.pt2$/i.test(path);
const isJavaScript = ({ path }: Model): boolean => /\.[mc]?js$/i.test(path);

interface ServeOptions extends Record<string, unknown>, LearnerOptions {
  model: Model[];
  device?: DeviceOption;
  engine?: string;
  key?: string;
  prefix?: string;
  devices?: string[];
  trusted?: boolean;
  instances?: number;
  grpcPort: number | false;
  tlsCert?: string;
  tlsKey?: string;
  logLevel: string;
}

/** Collects the models: the option may be repeated. */
function modelOption(value: string, given: Model[] | undefined): Model[] {
  const before = given ?? [];
  const [, name, path] = /^([^=]+)=(.+)$/.exec(value) ?? [];
  if (name === undefined || path === undefined) throw new InvalidArgumentError('It is not NAME=PATH.');
  if (before.some((each) => each.name === name)) throw new InvalidArgumentError(`${name} is there twice.`);
  return [...before, { name, path }];
}

function count(value: string): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('It is not a whole number.');
}

function milliseconds(value: string): number {
  const number = Number(value);
  if (value !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new InvalidArgumentError('It is not a number of milliseconds.');
}

function deviceList(value: string): DeviceOption[] {
  return value.split(',').map((each) => deviceName(each.trim()));
}

/** Loads the server's package. Throws ERR_SERVER_NOT_FOUND. */
async function loadServer(specifier: string = PACKAGE): Promise<ServerPackage> {
  try {
    return (await import(specifier)) as ServerPackage;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    if (!isMissing || !message.includes(PACKAGE)) throw error;
    throw new TokenLearnerError(
      'ERR_SERVER_NOT_FOUND',
      `\`tokenlearner serve\` needs the package ${PACKAGE}. Install it with: npm install ${PACKAGE}@${version()}`,
      { cause: error },
    );
  }
}

/** Throws a UsageError if an option is given that does not apply to one of the models. */
function refuseStray(
  given: object,
  models: readonly Model[],
  isStrange: (model: Model) => boolean,
  what: string,
): void {
  const [first] = Object.keys(given);
  const stranger = models.find(isStrange);
  if (stranger !== undefined && first !== undefined)
    throw new UsageError(`--${first} does not apply to ${stranger.path}, which is ${what}`);
}

/** Keeps a signal that comes after the server's end from killing the process in place of its exit code. */
function outliveSignals(): void {
  for (const signal of SIGNALS) process.on(signal, () => undefined);
  // An end by itself takes Node some 50 ms, in which it has no listeners any more.
  process.once('beforeExit', () => process.exit());
}

function defined(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The models by name, each with the options that apply to it. */
function modelsOf(options: ServeOptions): Record<string, object> {
  const { model, device, engine, key, prefix, trusted, instances } = options;
  const placement = defined({ device });
  const forWeights = { ...defined({ engine, key, prefix }), ...learnerOptions(options) };
  const forPackages = defined({ trusted, instances });
  refuseStray({ ...placement, ...forWeights }, model, isJavaScript, 'a JavaScript module');
  refuseStray(forWeights, model, isCompiled, 'a compiled program');
  const [first] = Object.keys(forPackages);
  if (first !== undefined && !model.some(isCompiled))
    throw new UsageError(`--${first} is for .pt2 packages, and there is none`);
  return Object.fromEntries(
    model.map((each) => [
      each.name,
      { path: each.path, ...placement, ...(isCompiled(each) ? forPackages : forWeights) },
    ]),
  );
}

const MODEL_OPTIONS = ['device', 'engine', 'key', 'prefix', 'trusted', 'instances', ...LEARNER_NAMES];
/** The options of a model, and those that have another form in the server's package. */
const OTHER_FORM = new Set([...MODEL_OPTIONS, 'model', 'tlsCert', 'tlsKey', 'logLevel']);

/** The options of the server's package: those of the command, with the ones that have another form there. */
function serverOptions(options: ServeOptions): Record<string, unknown> {
  const { tlsCert, tlsKey, logLevel } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError('--tls-cert and --tls-key go together');
  const rest = Object.entries(options).filter(([name]) => !OTHER_FORM.has(name));
  return {
    ...Object.fromEntries(rest),
    models: modelsOf(options),
    ...(tlsCert === undefined ? {} : { tls: { cert: tlsCert, key: tlsKey } }),
    logger: logLevel,
  };
}

async function serve(options: ServeOptions): Promise<void> {
  const checked = serverOptions(options);
  const server = await loadServer();
  const serving = server.serve(checked);
  outliveSignals();
  // A JavaScript module's own errors may name options of the library, which are not the command's.
  const ofModels = options.model.some(isJavaScript) ? [] : MODEL_OPTIONS;
  const code = await serving.catch((error: unknown) => {
    throw inWordsOfCommand(error, [...Object.keys(checked), ...ofModels], {
      models: 'model',
      logger: 'log-level',
    });
  });
  if (code !== 0) throw new SilentFailure();
}

function addNetwork(command: Command): Command {
  return command
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--http-port <port>', 'HTTP; 0 is any free port', count, 8000)
    .option('--grpc-port <port>', 'gRPC; 0 is any free port', count, 8001)
    .option('--no-grpc-port', 'serve no gRPC')
    .option('--metrics-port <port>', 'a port of its own for the metrics (default: the HTTP port)', count)
    .option('--token-file <file>', 'bearer tokens, one per line; required for other hosts', fileName)
    .option('--insecure', 'serve other hosts without tokens')
    .option('--tls-cert <file>', 'certificate with its chain, PEM', fileName)
    .option('--tls-key <file>', 'private key of the certificate, PEM', fileName);
}

function addBatching(command: Command): Command {
  return command
    .option('--max-batch-size <images>', 'most images of a batch', count)
    .option('--max-batch-pixels <pixels>', 'most pixels of a batch', count)
    .option('--max-delay-ms <ms>', 'how long a batch waits to fill (default: 0)', milliseconds)
    .option('--max-queue-size <requests>', 'most requests that wait per model (default: 1024)', count)
    .option('--max-queue-bytes <bytes>', 'most bytes of inputs that wait per model (default: 1 GiB)', count)
    .option('--priority-levels <n>', 'levels that a request may choose from', count)
    .option('--timeout-ms <ms>', 'the longest that a request may take (default: no limit)', milliseconds);
}

function addLimits(command: Command): Command {
  return command
    .option('--max-request-bytes <bytes>', 'most bytes of a request, inflated (default: 256 MiB)', count)
    .option(
      '--max-json-bytes <bytes>',
      'most bytes of JSON in a request or of outputs in an answer (default: 16 MiB)',
      count,
    )
    .option('--max-json-depth <levels>', 'deepest nesting of JSON (default: 32)', count)
    .option('--max-header-bytes <bytes>', 'most bytes of header fields (default: 16 KiB)', count)
    .option('--request-timeout-ms <ms>', 'time in which a request must arrive whole (default: 60000)', count)
    .option('--grace-period-ms <ms>', 'time to finish requests after SIGTERM (default: 30000)', count);
}

/** `tokenlearner serve`: the server of the package @tokenlearner/server. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description(
      'Serve models over HTTP and gRPC, with the Open Inference Protocol (v2) and dynamic batching.',
    )
    .requiredOption(
      '-m, --model <name=path>',
      'weights of a TokenLearner, TokenLearnerV10 or TokenLearnerV11, a JavaScript module that exports a Module by default, or a compiled PyTorch program (.pt2); may be repeated',
      modelOption,
    )
    .option('--device <device>', 'for weights and .pt2 packages: auto, cpu, cuda or cuda:N', deviceName)
    .option('--trusted', 'for .pt2 packages, which are machine code: run them with the rights of the server')
    .option('--instances <runs>', 'for .pt2 packages: most runs at a time (default: 1)', count)
    .option('--devices <list>', 'a replica on each, for example cuda:0,cuda:1', deviceList)
    .addOption(new Option('--engine <engine>', 'for weights: how to compute').choices(ENGINES))
    .option('--key <name>', 'for weights: the entry of the checkpoint that holds them, if it holds more')
    .option('--prefix <text>', 'for weights: what stands before the names, if the file holds several modules')
    .addOption(
      new Option('--log-level <level>', 'lines of JSON on standard output')
        .choices(LOG_LEVELS)
        .default('info'),
    );
  return addLimits(addBatching(addNetwork(addLearnerOptions(command)))).action(serve);
}
