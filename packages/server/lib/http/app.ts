/** The HTTP server: fastify for routes, errors and limits; `infer` reads and writes the raw request itself. */
import { readFileSync } from 'node:fs';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { TokenLearnerError } from 'tokenlearner';
import type { Core } from '../core';
import type { CheckedOptions } from '../options';
import { Problem, type ProblemKind, problemOf } from '../problem';
import { sendProblem } from './answer';
import { discardBody } from './discard-body';
import { openApiRoute } from './openapi';
import { healthRoutes, protocolRoutes } from './routes';
import { statusPageRoute } from './status-page';

/** Longer than the idle time of common proxies, which otherwise reuse a connection that this end has just closed. */
const KEEP_ALIVE_MS = 75_000;
const HEADERS_MS = 10_000;
/** How often slow requests are looked for, in milliseconds. */
const CHECK_MS = 1000;

/** Reads the certificate and its key. Throws ERR_FILE_IO. */
export function readTls({ tls }: CheckedOptions): { cert: Buffer; key: Buffer } | null {
  if (tls === undefined) return null;
  try {
    return { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  } catch (error) {
    throw new TokenLearnerError('ERR_FILE_IO', `The TLS files cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function createApp(options: CheckedOptions): FastifyInstance {
  const limits = {
    maxHeaderSize: options.maxHeaderBytes,
    headersTimeout: Math.min(HEADERS_MS, options.requestTimeoutMs),
    connectionsCheckingInterval: CHECK_MS,
  };
  const tls = readTls(options);
  const common = {
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    bodyLimit: options.maxRequestBytes,
    forceCloseConnections: 'idle' as const,
  };
  return (
    tls === null
      ? Fastify({ ...common, http: limits })
      : Fastify({ ...common, https: { ...limits, ...tls, minVersion: 'TLSv1.2' } })
  ) as FastifyInstance;
}

/** The whole HTTP server, without its port. */
export function httpApp(core: Core, extraRoutes: (app: FastifyInstance) => void): FastifyInstance {
  const app = createApp(core.options);
  commonBehaviour(app, core);
  // With a listener, Node leaves it to `infer` to say "100 Continue": after the checks of the header fields.
  app.server.on('checkContinue', (request, response) => {
    app.server.emit('request', request, response);
  });
  healthRoutes(app, core);
  void app.register((guarded, _options, done) => {
    guard(guarded, core);
    protocolRoutes(guarded, core);
    openApiRoute(guarded, core);
    statusPageRoute(guarded, core);
    extraRoutes(guarded);
    done();
  });
  return app;
}

/** A server with the metrics alone, for a port of their own. */
export function metricsApp(core: Core, routes: (app: FastifyInstance) => void): FastifyInstance {
  const app = createApp(core.options);
  commonBehaviour(app, core);
  void app.register((guarded, _options, done) => {
    guard(guarded, core);
    routes(guarded);
    done();
  });
  return app;
}

function commonBehaviour(app: FastifyInstance, core: Core): void {
  app.removeAllContentTypeParsers();
  // Bodies stay unread: each route reads its own.
  app.addContentTypeParser('*', (_request, _body, done) => {
    done(null);
  });
  app.setNotFoundHandler(async ({ method, url }, reply) => {
    await respond(reply, new Problem('not-found', `There is no ${method} ${url}`), core);
  });
  app.setErrorHandler(async (error, _request, reply) => {
    const problem = problemOfFastify(error);
    if (problem.kind === 'internal') core.log.error({ err: problem.cause ?? error }, 'request failed');
    await respond(reply, problem, core);
  });
}

async function respond(reply: FastifyReply, problem: Problem, { lifecycle }: Core): Promise<void> {
  reply.hijack();
  const close = lifecycle.isDraining;
  if (close) await discardBody(reply.request.raw);
  sendProblem(reply.raw, problem, close);
}

const FASTIFY_KINDS: Readonly<Record<number, ProblemKind>> = {
  400: 'invalid',
  404: 'not-found',
  413: 'too-large',
  415: 'unsupported-media',
  503: 'unavailable',
};

/** Fastify's own errors have a status. */
function problemOfFastify(error: unknown): Problem {
  const { statusCode, message, code } = error as { statusCode?: number; message: string; code?: string };
  const kind = code?.startsWith('FST_') ? FASTIFY_KINDS[statusCode ?? 0] : undefined;
  return kind === undefined ? problemOf(error) : new Problem(kind, message, { cause: error });
}

/** Refuses requests without a token, before their body is read. */
function guard(app: FastifyInstance, { auth }: Core): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (auth.allows(request.headers.authorization)) {
      done();
      return;
    }
    // A browser asks the person for the token, as the password, on the page that is made for people.
    const isPage = request.url === '/';
    reply.raw.setHeader('www-authenticate', isPage ? 'Basic realm="tokenlearner"' : 'Bearer');
    done(new Problem('unauthenticated', 'Expected a valid bearer token in the Authorization field'));
  });
}
