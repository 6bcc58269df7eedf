/** The routes of the protocol, and of its extensions. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type Core, EXTENSIONS, SERVER_NAME } from '../core';
import { refuseParameters } from '../models/registry';
import { type ServedModel, VERSION } from '../models/served-model';
import { modelStatistics } from '../models/model-statistics';
import { invalid, Problem } from '../problem';
import { parseJson } from '../protocol';
import { BodyReader } from './body-reader';
import { infer } from './infer';
import { readBody } from './read-body';
import { sayContinue } from './say-continue';

interface Params {
  name: string;
  version?: string;
}

const UNAVAILABLE = 503;
const SMALL_BODY = 65_536;

/** Health, which needs no token. Some clients read the status, some `live` and some `ready`. */
export function healthRoutes(app: FastifyInstance, core: Core): void {
  const isReady = (): boolean => core.lifecycle.phase === 'serving' && core.models.ready;
  app.get('/v2/health/live', (_request, reply) => {
    const live = !core.models.isLost;
    if (!live) reply.code(UNAVAILABLE);
    return { live, ready: isReady() };
  });
  app.get('/v2/health/ready', (_request, reply) => {
    const ready = isReady();
    if (!ready) reply.code(UNAVAILABLE);
    return { live: !core.models.isLost, ready };
  });
  const modelReady = (model: ServedModel): boolean => core.lifecycle.phase === 'serving' && model.ready;
  for (const path of ['/v2/models/:name/ready', '/v2/models/:name/versions/:version/ready']) {
    app.get<{ Params: Params }>(path, ({ params }, reply) => {
      const model = core.models.get(params.name, params.version);
      const ready = modelReady(model);
      if (!ready) reply.code(UNAVAILABLE);
      return { name: model.name, live: !model.isLost, ready };
    });
  }
}

/** Metadata, inference, statistics, and the repository of models. */
export function protocolRoutes(app: FastifyInstance, core: Core): void {
  app.get('/v2', () => ({ name: SERVER_NAME, version: core.version, extensions: EXTENSIONS.http }));
  for (const path of ['/v2/models/:name', '/v2/models/:name/versions/:version'])
    app.get<{ Params: Params }>(path, ({ params }) => describe(core.models.get(params.name, params.version)));
  for (const path of ['/v2/models/:name/infer', '/v2/models/:name/versions/:version/infer']) {
    app.post<{ Params: Params }>(path, async ({ raw: request, params }, reply) => {
      reply.hijack();
      await infer({ core, request, response: reply.raw }, params.name, params.version ?? '');
    });
  }
  statisticsRoutes(app, core);
  repositoryRoutes(app, core);
}

function describe(model: ServedModel): object {
  const { inputs, outputs } = model.metadata;
  const parameters = { batched: model.isBatched };
  return { name: model.name, versions: [VERSION], platform: SERVER_NAME, inputs, outputs, parameters };
}

function statisticsRoutes(app: FastifyInstance, core: Core): void {
  app.get('/v2/models/stats', () => ({ model_stats: core.models.all().map(modelStatistics) }));
  for (const path of ['/v2/models/:name/stats', '/v2/models/:name/versions/:version/stats'])
    app.get<{ Params: Params }>(path, ({ params }) => ({
      model_stats: [modelStatistics(core.models.get(params.name, params.version))],
    }));
}

function repositoryRoutes(app: FastifyInstance, core: Core): void {
  app.post('/v2/repository/index', async (_request, reply) => {
    await jsonBody(reply, core);
    return core.models.all().map(({ name, ready }) => ({
      name,
      version: VERSION,
      state: ready ? 'READY' : 'UNAVAILABLE',
      reason: ready ? '' : 'not loaded',
    }));
  });
  app.post<{ Params: Params }>('/v2/repository/models/:name/load', async (request, reply) => {
    demandToken(core);
    refuseParameters(await jsonBody(reply, core));
    const { name } = core.models.get(request.params.name);
    await core.models.reload(name);
    core.log.info({ model: name }, 'model loaded again');
    return {};
  });
}

/** Loading is for those with a token, also where everything else needs none. */
function demandToken({ auth }: Core): void {
  if (!auth.isRequired)
    throw new Problem(
      'forbidden',
      'Loading a model over the network needs a server with --token-file; or send SIGHUP',
    );
}

/** The request's body, a small one of JSON; undefined if it is empty. */
async function jsonBody({ request, raw }: FastifyReply, { options }: Core): Promise<unknown> {
  sayContinue(request.raw, raw);
  let json: unknown;
  const limits = { maxRequestBytes: SMALL_BODY, maxJsonBytes: SMALL_BODY };
  const onJson = (bytes: Buffer): readonly Buffer[] => {
    if (bytes.length > 0) json = parseJson(bytes, options.maxJsonDepth);
    return [];
  };
  await readBody(request.raw, 'identity', new BodyReader(undefined, limits, onJson, () => undefined));
  if (json !== undefined && typeof json !== 'object') throw invalid('Expected a JSON object');
  return json;
}
