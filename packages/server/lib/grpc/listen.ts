/** Opens the gRPC port. */
import { isIPv6 } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { readTls } from '../http/http-port';
import type { CheckedOptions } from '../options';

/** Resolves to the port. */
export function listenGrpc(server: grpc.Server, options: CheckedOptions): Promise<number> {
  const tls = readTls(options);
  const credentials =
    tls === null
      ? grpc.ServerCredentials.createInsecure()
      : grpc.ServerCredentials.createSsl(null, [{ private_key: tls.key, cert_chain: tls.cert }]);
  const host = isIPv6(options.host) ? `[${options.host}]` : options.host;
  const port = options.grpcPort === false ? 0 : options.grpcPort;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}
