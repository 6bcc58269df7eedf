/** The gRPC server: the protocol's service, grpc.health.v1, and reflection. */
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as HEALTH_PROTO } from 'grpc-health-check';
import { type Core, EXTENSIONS, SERVER_NAME } from '../core';
import { VERSION } from '../models/served-model';
import { problemOf } from '../problem';
import { infer, type InferCall } from './infer';
import { admissionInterceptor, boundedStatus, tokenInterceptor } from './interceptor';
import type { ModelInferResponse, NamedModel } from './messages';

const PROTO = path.join(__dirname, '..', '..', 'proto', 'grpc_predict_v2.proto');
const SERVICE = 'inference.GRPCInferenceService';
const HEALTH_METHODS = ['ServerLive', 'ServerReady', 'ModelReady'];

function pathOf(method: string): string {
  return `/${SERVICE}/${method}`;
}

function loadProtocol(): PackageDefinition {
  return loadSync(PROTO, {
    keepCase: true,
    longs: Number,
    defaults: true,
    arrays: true,
    objects: true,
    oneofs: true,
  });
}

type Callback<T> = grpc.sendUnaryData<T>;
type Call<T> = grpc.ServerUnaryCall<T, object>;

/** Answers a call with a function's result, or with its error's status. */
function settle<T>(callback: Callback<T>, work: () => T | Promise<T>): void {
  void (async () => {
    try {
      callback(null, await work());
    } catch (error) {
      const problem = problemOf(error);
      callback(Object.assign(new Error(problem.message), { code: problem.grpc, details: problem.message }));
    }
  })();
}

function implementation(core: Core): grpc.UntypedServiceImplementation {
  const isServing = (): boolean => core.lifecycle.phase === 'serving';
  return {
    ServerLive: (_call: Call<object>, callback: Callback<object>) => {
      callback(null, { live: !core.models.isLost });
    },
    ServerReady: (_call: Call<object>, callback: Callback<object>) => {
      callback(null, { ready: isServing() && core.models.ready });
    },
    ModelReady: ({ request }: Call<NamedModel>, callback: Callback<object>) => {
      settle(callback, () => ({
        ready: core.models.get(request.name, request.version).ready && isServing(),
      }));
    },
    ServerMetadata: (_call: Call<object>, callback: Callback<object>) => {
      callback(null, { name: SERVER_NAME, version: core.version, extensions: EXTENSIONS.grpc });
    },
    ModelMetadata: ({ request }: Call<NamedModel>, callback: Callback<object>) => {
      settle(callback, () => {
        const model = core.models.get(request.name, request.version);
        return { name: model.name, versions: [VERSION], platform: SERVER_NAME, ...model.metadata };
      });
    },
    ModelInfer: (call: InferCall, callback: Callback<ModelInferResponse>) => {
      settle(callback, () => infer(core, call));
    },
  };
}

export interface GrpcService {
  server: grpc.Server;
  /** Tells the clients of grpc.health.v1 what serves now: the server, and each model. */
  announce(): void;
}

export function grpcService(core: Core): GrpcService {
  const { maxRequestBytes, maxHeaderBytes } = core.options;
  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxRequestBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_metadata_size': maxHeaderBytes,
    interceptors: [
      boundedStatus,
      tokenInterceptor(core, HEALTH_METHODS.map(pathOf)),
      admissionInterceptor(core, pathOf('ModelInfer')),
    ],
  });
  const definition = loadProtocol();
  server.addService(definition[SERVICE] as grpc.ServiceDefinition, implementation(core));
  const health = new HealthImplementation();
  const announce = (): void => {
    const isServing = core.lifecycle.phase === 'serving';
    const { ready } = core.models;
    const all = [{ name: '', ready }, { name: SERVICE, ready }, ...core.models.all()];
    for (const each of all) health.setStatus(each.name, isServing && each.ready ? 'SERVING' : 'NOT_SERVING');
  };
  announce();
  health.addToServer(server);
  new ReflectionService({ ...definition, ...loadSync(HEALTH_PROTO) }).addToServer(server);
  return { server, announce };
}
