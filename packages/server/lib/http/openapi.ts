/** GET /openapi.json: the HTTP API for programs. */
import type { FastifyInstance } from 'fastify';
import { type Core, SERVER_NAME } from '../core';

type Json = Record<string, unknown>;

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: Json): Json => ({ 'application/json': { schema } });
const array = (items: Json): Json => ({ type: 'array', items });
const object = (properties: Json, required: string[] = []): Json => ({
  type: 'object',
  properties,
  required,
});
const string: Json = { type: 'string' };
const integer: Json = { type: 'integer' };
const boolean: Json = { type: 'boolean' };
const parameters: Json = { type: 'object', additionalProperties: true };

const SCHEMAS: Json = {
  Error: object({ error: string }, ['error']),
  Health: object({ live: boolean, ready: boolean, name: string }, ['live', 'ready']),
  TensorMetadata: object({ name: string, datatype: string, shape: array(integer) }, [
    'name',
    'datatype',
    'shape',
  ]),
  ServerMetadata: object({ name: string, version: string, extensions: array(string) }, ['name', 'version']),
  ModelMetadata: object(
    {
      name: string,
      versions: array(string),
      platform: string,
      inputs: array(ref('TensorMetadata')),
      outputs: array(ref('TensorMetadata')),
      parameters: object({
        batched: { ...boolean, description: 'False if each request of the model runs alone.' },
      }),
    },
    ['name', 'platform', 'inputs', 'outputs'],
  ),
  Input: object(
    {
      name: string,
      datatype: string,
      shape: array(integer),
      parameters,
      data: { type: 'array', items: {}, description: 'Flat, or nested as the shape.' },
    },
    ['name', 'datatype', 'shape'],
  ),
  Output: object({ name: string, datatype: string, shape: array(integer), parameters, data: array({}) }, [
    'name',
    'datatype',
    'shape',
  ]),
  InferenceRequest: object(
    {
      id: string,
      parameters,
      inputs: array(ref('Input')),
      outputs: array(object({ name: string, parameters }, ['name'])),
    },
    ['inputs'],
  ),
  InferenceResponse: object(
    { model_name: string, model_version: string, id: string, parameters, outputs: array(ref('Output')) },
    ['model_name', 'outputs'],
  ),
};

const failure = (description: string): Json => ({ description, content: json(ref('Error')) });

function operation(summary: string, schema: Json, more: Json = {}, failures: Json = {}): Json {
  return {
    summary,
    responses: { 200: { description: 'OK', content: json(schema) }, ...failures },
    ...more,
  };
}

const INFERENCE_FAILURES: Json = {
  400: failure('The request is wrong; the message says where'),
  404: failure('There is no such model or version'),
  413: failure('The request is too large'),
  415: failure('The media type or encoding is not supported'),
  429: failure('The queue is full; see Retry-After'),
  500: failure('The model failed'),
  503: failure('The server is not ready or is closing'),
  504: failure('The request was not finished in time'),
};

function inference(): Json {
  const length = {
    name: 'Inference-Header-Content-Length',
    in: 'header',
    required: false,
    schema: integer,
    description: 'The bytes of JSON before the binary data, for the binary tensor extension.',
  };
  const binary = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
  return operation(
    'Run a model',
    ref('InferenceResponse'),
    {
      parameters: [length],
      requestBody: { required: true, content: { ...json(ref('InferenceRequest')), ...binary } },
    },
    INFERENCE_FAILURES,
  );
}

const health = (summary: string): Json =>
  operation(
    summary,
    ref('Health'),
    { security: [] },
    { 503: { description: 'Not ready', content: json(ref('Health')) } },
  );

function paths(): Json {
  const model = { name: 'name', in: 'path', required: true, schema: string };
  const of = (operations: Json): Json => ({ parameters: [model], ...operations });
  return {
    '/v2': { get: operation('Server metadata', ref('ServerMetadata')) },
    '/v2/health/live': { get: health('Is the server alive?') },
    '/v2/health/ready': { get: health('Are all models ready?') },
    '/v2/models/{name}': of({ get: operation('Model metadata', ref('ModelMetadata')) }),
    '/v2/models/{name}/ready': of({ get: health('Is the model ready?') }),
    '/v2/models/{name}/infer': of({ post: inference() }),
    '/v2/models/{name}/stats': of({ get: operation('Statistics of a model', parameters) }),
    '/v2/models/stats': { get: operation('Statistics of all models', parameters) },
    '/v2/repository/index': { post: operation('All models and their state', array(parameters)) },
    '/v2/repository/models/{name}/load': of({
      post: operation('Load a model from its path again', parameters),
    }),
  };
}

export function openApiRoute(app: FastifyInstance, { version, auth }: Core): void {
  const document = {
    openapi: '3.1.0',
    info: {
      title: SERVER_NAME,
      version,
      description: 'The Open Inference Protocol (v2) with the binary tensor extension.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths: paths(),
    components: { schemas: SCHEMAS, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    ...(auth.isRequired ? { security: [{ token: [] }] } : {}),
  };
  app.get('/openapi.json', () => document);
}
