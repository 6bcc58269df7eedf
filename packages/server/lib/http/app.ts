/** The HTTP server: fastify for routes, errors and limits; `infer` reads and writes the raw request itself. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Core } from '../core';
import { Problem, type ProblemKind, problemOf, shortened } from '../problem';
import { sendProblem } from './answer';
import { discardBody } from './discard-body';
import { endsConnection } from './exchange';
import { HttpPort } from './http-port';
import { openApiRoute } from './openapi';
import { healthRoutes, protocolRoutes } from './routes';
import { statusPageRoute } from './status-page';

/** The whole HTTP server, before it listens. */
export function httpApp(core: Core, extraRoutes: (app: FastifyInstance) => void): HttpPort {
  const port = new HttpPort(core.options);
  const { app } = port;
  commonBehaviour(app, core);
  healthRoutes(app, core);
  void app.register((guarded, _options, done) => {
    guard(guarded, core);
    protocolRoutes(guarded, core);
    openApiRoute(guarded, core);
    statusPageRoute(guarded, core);
    extraRoutes(guarded);
    done();
  });
  return port;
}

/** A server with the metrics alone, for a port of their own. */
export function metricsApp(core: Core, routes: (app: FastifyInstance) => void): HttpPort {
  const port = new HttpPort(core.options);
  const { app } = port;
  commonBehaviour(app, core);
  void app.register((guarded, _options, done) => {
    guard(guarded, core);
    routes(guarded);
    done();
  });
  return port;
}

function commonBehaviour(app: FastifyInstance, core: Core): void {
  app.removeAllContentTypeParsers();
  // Bodies stay unread: each route reads its own.
  app.addContentTypeParser('*', (_request, _body, done) => {
    done(null);
  });
  app.addHook('onSend', (request, reply, _payload, done) => {
    if (endsConnection(request.raw, core.lifecycle)) reply.header('connection', 'close');
    done();
  });
  app.setNotFoundHandler(async ({ method, url }, reply) => {
    await respond(reply, new Problem('not-found', `There is no ${method} ${shortened(url)}`), core);
  });
  app.setErrorHandler(async (error, _request, reply) => {
    const problem = problemOfFastify(error);
    if (problem.kind === 'internal') core.log.error({ err: problem.cause ?? error }, 'request failed');
    await respond(reply, problem, core);
  });
}

async function respond(reply: FastifyReply, problem: Problem, { lifecycle }: Core): Promise<void> {
  reply.hijack();
  const { raw } = reply.request;
  const close = endsConnection(raw, lifecycle);
  if (close) await discardBody(raw);
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
