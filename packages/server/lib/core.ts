/** What the HTTP and the gRPC server share. */
import type { Logger } from 'pino';
import type { Auth } from './auth';
import type { InputPool } from './input-pool';
import type { Lifecycle } from './lifecycle';
import type { ModelRegistry } from './models/registry';
import type { CheckedOptions } from './options';

export interface Core {
  readonly options: CheckedOptions;
  readonly models: ModelRegistry;
  readonly lifecycle: Lifecycle;
  readonly auth: Auth;
  readonly pool: InputPool;
  readonly log: Logger;
  /** This package's version. */
  readonly version: string;
}

/** The name of the server, and of the models' platform. */
export const SERVER_NAME = 'tokenlearner';

/** The protocol's extensions that this server has. */
export const EXTENSIONS = {
  http: ['binary_tensor_data', 'statistics', 'model_repository'],
  grpc: ['binary_tensor_data'],
} as const;
