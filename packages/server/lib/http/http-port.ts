/** A port for HTTP: fastify, and the servers that listen for it. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import Fastify, { type FastifyInstance } from 'fastify';
import { TokenLearnerError } from 'tokenlearner';
import { type CheckedOptions, LONGEST_NAME } from '../options';
import { noteRequest } from './exchange';

/** Longer than the idle time of common proxies, which otherwise reuse a connection that this end has just closed. */
const KEEP_ALIVE_MS = 75_000;
const HEADERS_MS = 10_000;
/** How often slow requests are looked for, in milliseconds. */
const CHECK_MS = 1000;

/** Reads the certificate and its key. Throws ERR_FILE_IO, or ERR_FILE_FORMAT if they are not PEM or do not belong together. */
export function readTls({ tls }: CheckedOptions): { cert: Buffer; key: Buffer } | null {
  if (tls === undefined) return null;
  const fail = (code: 'ERR_FILE_IO' | 'ERR_FILE_FORMAT', what: string, error: unknown): TokenLearnerError =>
    new TokenLearnerError(code, `${what}: ${(error as Error).message}`, { cause: error });
  let files: { cert: Buffer; key: Buffer };
  try {
    files = { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  } catch (error) {
    throw fail('ERR_FILE_IO', 'The TLS files cannot be read', error);
  }
  try {
    createSecureContext(files);
    // OpenSSL compares only keys of one type.
    if (!new X509Certificate(files.cert).checkPrivateKey(createPrivateKey(files.key)))
      throw new Error('the key is that of another certificate');
  } catch (error) {
    const pair = `${tls.cert} and ${tls.key}`;
    throw fail('ERR_FILE_FORMAT', `Expected a certificate and its private key, PEM, in ${pair}`, error);
  }
  return files;
}

export class HttpPort {
  readonly app: FastifyInstance;
  readonly #options: CheckedOptions;
  readonly #servers: Server[] = [];
  /** Answers a request. */
  #handler: RequestListener = () => undefined;
  /** All connections, also those that have not sent a request or are not through with TLS. */
  readonly #sockets = new Set<Socket>();

  constructor(options: CheckedOptions) {
    this.#options = options;
    this.app = Fastify({
      bodyLimit: options.maxRequestBytes,
      routerOptions: { maxParamLength: LONGEST_NAME },
      serverFactory: (handler) => {
        this.#handler = handler;
        return this.#create();
      },
    });
  }

  /** Listens, and resolves to the port. `localhost` is all its addresses, as far as they can be had. */
  async listen(host: string, port: number): Promise<number> {
    const [main] = this.#servers as [Server];
    await this.app.listen({ host, port });
    const bound = main.address() as AddressInfo;
    if (host !== 'localhost') return bound.port;
    const addresses = await lookup(host, { all: true });
    const others = new Set(addresses.map(({ address }) => address).filter((each) => each !== bound.address));
    await Promise.all([...others].map((each) => this.#listenAlso(each, bound.port)));
    return bound.port;
  }

  /** Closes all connections at once. */
  closeConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Takes no new connections, lets those that have a request finish, and after `forceAfterMs` closes all. */
  async close(forceAfterMs: number): Promise<void> {
    const closed = this.#servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => {
            resolve();
          });
        }),
    );
    const force = setTimeout(() => {
      this.closeConnections();
    }, forceAfterMs);
    await Promise.all([...closed, this.app.close()]);
    clearTimeout(force);
  }

  #create(): Server {
    const { maxHeaderBytes, requestTimeoutMs } = this.#options;
    const limits = {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: Math.min(HEADERS_MS, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
    };
    const tls = readTls(this.#options);
    const server =
      tls === null ? createServer(limits) : createTlsServer({ ...limits, ...tls, minVersion: 'TLSv1.2' });
    const onRequest: RequestListener = (request, response) => {
      noteRequest(request);
      this.#handler(request, response);
    };
    server.on('request', onRequest);
    // With a listener, Node leaves it to the routes to say "100 Continue": after the checks of the header fields.
    server.on('checkContinue', onRequest);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#servers.push(server);
    return server;
  }

  /** Listens on one more address, unless it cannot be had. */
  #listenAlso(host: string, port: number): Promise<void> {
    const server = this.#create();
    server.on('clientError', (error, socket) => this.app.server.emit('clientError', error, socket));
    return new Promise((resolve) => {
      server.once('error', () => {
        resolve();
      });
      server.listen({ host, port }, resolve);
    });
  }
}
