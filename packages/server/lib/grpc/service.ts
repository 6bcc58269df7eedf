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

/** A gRPC server that can be told whether it serves. */
export interface GrpcService {
  server: grpc.Server;
  /** Tells the clients of grpc.health.v1. */
  announce(serving: boolean): void;
}

export function grpcService(core: Core): GrpcService {
  const { maxRequestBytes, models, maxHeaderBytes } = core.options;
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
  const names = ['', SERVICE, ...Object.keys(models)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'NOT_SERVING'])));
  health.addToServer(server);
  new ReflectionService({ ...definition, ...loadSync(HEALTH_PROTO) }).addToServer(server);
  return {
    server,
    announce(serving) {
      for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
  };
}
