/** A gRPC client that knows the protocol's .proto alone. */
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { InferenceServer } from '@tokenlearner/server';

const PROTO = path.join(__dirname, '..', 'proto', 'grpc_predict_v2.proto');
const definition = loadSync(PROTO, { keepCase: true, longs: Number, defaults: true });
const Client = grpc.makeGenericClientConstructor(
  definition['inference.GRPCInferenceService'] as grpc.ServiceDefinition,
  'inference',
);

export interface Answer {
  id: string;
  model_name: string;
  outputs: { name: string; datatype: string; shape: number[] }[];
  raw_output_contents: Buffer[];
}

const clients: grpc.Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

/** Closes a client after the test. */
export function keep<T extends grpc.Client>(client: T): T {
  clients.push(client);
  return client;
}

export function addressOf(server: InferenceServer): string {
  return `127.0.0.1:${server.address?.grpcPort ?? 0}`;
}

/** Calls methods of the protocol on one connection. */
export function clientOf(
  server: InferenceServer,
): (method: string, request: object, options?: object) => Promise<Answer> {
  const client = keep(
    new Client(addressOf(server), grpc.credentials.createInsecure(), {
      'grpc.max_send_message_length': -1,
      'grpc.max_receive_message_length': -1,
    }),
  );
  return (method, request, options = {}) =>
    new Promise((resolve, reject) => {
      const call = (client as unknown as Record<string, (...args: unknown[]) => void>)[method];
      call?.call(client, request, options, (error: grpc.ServiceError | null, answer: Answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      });
    });
}

/** Asks grpc.health.v1 for a service. */
export function healthOf(server: InferenceServer): ReturnType<typeof healthAt> {
  return healthAt(addressOf(server), grpc.credentials.createInsecure());
}

export function healthAt(
  address: string,
  credentials: grpc.ChannelCredentials,
  channel: grpc.ChannelOptions = {},
): (service: string, options?: object) => Promise<{ status: string }> {
  const { service: health } = jest.requireActual<typeof import('grpc-health-check')>('grpc-health-check');
  const Health = grpc.makeGenericClientConstructor(health, 'Health');
  const client = keep(new Health(address, credentials, channel));
  return (service, options = {}) =>
    new Promise((resolve, reject) => {
      (client as unknown as { check: (...args: unknown[]) => void }).check(
        { service },
        options,
        (error: Error | null, answer: { status: string }) => {
          if (error === null) resolve(answer);
          else reject(error);
        },
      );
    });
}
