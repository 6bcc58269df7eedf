/** A server from its options: its ports, its life, and the ways to end it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { TokenLearnerError } from 'tokenlearner';
import { Auth } from './auth';
import { checkString } from './check';
import type { Core } from './core';
import { listenGrpc } from './grpc/listen';
import { type GrpcService, grpcService } from './grpc/service';
import { httpApp, metricsApp } from './http/app';
import type { HttpPort } from './http/http-port';
import { InputPool } from './input-pool';
import { Lifecycle } from './lifecycle';
import { ModelRegistry } from './models/registry';
import { createLogger } from './observe/logging';
import { Metrics } from './observe/metrics';
import { checkCloseOptions, checkOptions, isLoopback, type ServerOptions } from './options';
import { opened } from './port-error';

/** The ports that a server listens on. */
export interface ServerAddress {
  host: string;
  httpPort: number;
  /** Null without gRPC. */
  grpcPort: number | null;
  /** The HTTP port, unless the metrics have their own. */
  metricsPort: number;
}

/** How long HTTP connections may last once no inference is under way, in milliseconds: longer than an unwanted body is read. */
const HTTP_END_MS = 3000;
/** The same for gRPC, where open calls of Health.Watch would keep it from closing. */
const GRPC_END_MS = 1000;

/** The most memory that is kept for later inputs. */
const POOL_BYTES = 64 * 1024 * 1024;

function packageVersion(): string {
  const file = path.join(__dirname, '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

let make: (options: ServerOptions) => InferenceServer;

/** An inference server. Create it with {@link createServer}. */
export class InferenceServer {
  readonly #core: Core;
  readonly #http: HttpPort;
  readonly #metrics: Metrics;
  readonly #metricsHttp: HttpPort | undefined;
  readonly #grpc: GrpcService | undefined;
  #address: ServerAddress | undefined;
  #opening: Promise<ServerAddress> | undefined;
  #closing: Promise<boolean> | undefined;

  static {
    make = (options) => new InferenceServer(options);
  }

  private constructor(options: ServerOptions) {
    const checked = checkOptions(options);
    const log = createLogger(checked.logger);
    this.#core = {
      options: checked,
      models: new ModelRegistry(checked, log, () => {
        this.#grpc?.announce();
      }),
      lifecycle: new Lifecycle(),
      auth: new Auth(checked.tokenFile),
      pool: new InputPool(POOL_BYTES),
      log,
      version: packageVersion(),
    };
    this.#metrics = new Metrics(this.#core);
    const routes = (app: FastifyInstance): void => {
      this.#metrics.route(app);
    };
    const { metricsPort, grpcPort } = checked;
    this.#http = httpApp(this.#core, metricsPort === undefined ? routes : () => undefined);
    this.#metricsHttp = metricsPort === undefined ? undefined : metricsApp(this.#core, routes);
    this.#grpc = grpcPort === false ? undefined : grpcService(this.#core);
  }

  /** The ports; undefined before {@link listen}, and if it has failed. */
  get address(): ServerAddress | undefined {
    return this.#address;
  }

  /** True while all models are loaded and have a device that works, and the server is not closing. */
  get ready(): boolean {
    return this.#core.lifecycle.phase === 'serving' && this.#core.models.ready;
  }

  /**
   * Opens the ports, loads the models, and resolves once they are ready. Until then the server is live and not ready. If it fails,
   * nothing stays open.
   *
   * @throws the errors of loadWeights and learnerFromStateDict; ERR_INVALID_ARG_VALUE for options of batches where no model has
   * batches; an Error with Node's code, such as EADDRINUSE, that names the option of a port that cannot be opened; ERR_CLOSED if the server is
   * closed, also meanwhile; ERR_INVALID_ARG_VALUE if it listens already.
   */
  async listen(): Promise<ServerAddress> {
    const { lifecycle, models, log } = this.#core;
    this.#demandOpen();
    if (lifecycle.phase !== 'starting' || this.#opening !== undefined)
      throw new TokenLearnerError('ERR_INVALID_ARG_VALUE', 'The server listens already');
    try {
      this.#opening = this.#open();
      this.#address = await this.#opening;
      this.#demandOpen();
      await models.start();
      this.#demandOpen();
    } catch (error) {
      await this.close({ gracePeriodMs: 0 });
      this.#address = undefined;
      throw error;
    }
    lifecycle.advance('serving');
    this.#grpc?.announce();
    log.info({ ...this.#address, models: models.all().map(({ name }) => name) }, 'ready');
    this.#warn();
    return this.#address;
  }

  /**
   * Loads a model from its path again, or all models that have one, and reads the tokens again. No request is lost: each ends with the model that it
   * began with. Of all models, one that cannot be loaded keeps its old state, and the others change; the tokens change only if all could be loaded.
   *
   * @throws the errors of {@link listen} for a model; an AggregateError if several fail; ERR_FILE_IO and ERR_FILE_FORMAT for the token
   * file, before any model is loaded; ERR_INVALID_ARG_TYPE, and ERR_INVALID_ARG_VALUE for a name that is unknown or of a module that the
   * program made; ERR_CLOSED.
   */
  async reload(name?: string): Promise<void> {
    const { auth, models } = this.#core;
    if (name !== undefined) checkString('name', name);
    this.#demandOpen();
    const useTokens = name === undefined ? auth.read() : undefined;
    await models.reload(name);
    useTokens?.();
  }

  /**
   * Refuses new requests, finishes those under way, and closes the ports.
   *
   * @param options - `gracePeriodMs`: what is under way after that time is aborted, in milliseconds, from 0 to 2**31 - 1.
   * @returns true if every request was finished in time. A second call can shorten the time, and returns the result of the first.
   * @throws TokenLearnerError (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE. Nothing is closed then.
   */
  async close(options?: { gracePeriodMs?: number | undefined }): Promise<boolean> {
    const gracePeriodMs = checkCloseOptions(options) ?? this.#core.options.gracePeriodMs;
    this.#core.lifecycle.limit(gracePeriodMs);
    this.#closing ??= this.#close(gracePeriodMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(gracePeriodMs: number): Promise<boolean> {
    const { lifecycle, models, log } = this.#core;
    lifecycle.advance('draining');
    this.#grpc?.announce();
    log.info('draining');
    await this.#opening?.catch(() => undefined);
    const isDrained = await lifecycle.idle();
    if (!isDrained) this.#http.closeConnections();
    await Promise.all([
      ...this.#closePorts(isDrained ? gracePeriodMs : 0),
      ...models.all().map((model) => model.close()),
    ]);
    this.#metrics.close();
    this.#core.pool.clear();
    lifecycle.advance('closed');
    log.info({ drained: isDrained }, 'closed');
    return isDrained;
  }

  /** @param mostMs - the longest time for connections to end by themselves. */
  #closePorts(mostMs: number): Promise<unknown>[] {
    const closeGrpc = new Promise<void>((resolve) => {
      if (this.#grpc === undefined) {
        resolve();
        return;
      }
      const { server } = this.#grpc;
      const force = setTimeout(
        () => {
          server.forceShutdown();
        },
        Math.min(GRPC_END_MS, mostMs),
      );
      server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
    const forHttp = Math.min(HTTP_END_MS, mostMs);
    return [this.#http.close(forHttp), this.#metricsHttp?.close(forHttp) ?? Promise.resolve(), closeGrpc];
  }

  async #open(): Promise<ServerAddress> {
    const { options } = this.#core;
    const { host, metricsPort = 0 } = options;
    const httpPort = await opened('httpPort', this.#http.listen(host, options.httpPort));
    const metrics =
      this.#metricsHttp && (await opened('metricsPort', this.#metricsHttp.listen(host, metricsPort)));
    const grpcPort = this.#grpc && (await opened('grpcPort', listenGrpc(this.#grpc.server, options)));
    return { host, httpPort, grpcPort: grpcPort ?? null, metricsPort: metrics ?? httpPort };
  }

  /** Throws ERR_CLOSED if the server has begun to close. */
  #demandOpen(): void {
    const { isDraining, phase } = this.#core.lifecycle;
    if (!isDraining) return;
    throw new TokenLearnerError('ERR_CLOSED', `The server is ${phase === 'closed' ? 'closed' : 'closing'}`);
  }

  /** Says what leaves a server open to others. */
  #warn(): void {
    const { options, auth, log } = this.#core;
    if (isLoopback(options.host)) return;
    if (!auth.isRequired) log.warn('Anyone who reaches this address can use the server: it has no token');
    if (options.tls === undefined)
      log.warn('Tokens and data travel unencrypted: use TLS (--tls-cert, --tls-key), or a proxy that does');
  }
}

/**
 * Creates an inference server for the Open Inference Protocol (v2), over HTTP and gRPC, with dynamic batching. Call `listen` on it.
 *
 * ```ts
 * const server = createServer({ models: { backbone: 'weights.safetensors' } });
 * const { httpPort } = await server.listen();
 * ```
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ERR_FILE_IO and ERR_FILE_FORMAT for the token
 * file and the TLS files.
 */
export function createServer(options: ServerOptions): InferenceServer {
  return make(options);
}
