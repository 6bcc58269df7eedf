/**
 * An inference server for tokenlearner: the Open Inference Protocol (v2) over HTTP and gRPC, with dynamic batching.
 *
 * @packageDocumentation
 */
export type { BatchingOptions, LogLevel, ModelFile, ModelSource, ServerOptions, TlsOptions } from './options';
export { serve } from './serve';
export { createServer, InferenceServer, type ServerAddress } from './server';
