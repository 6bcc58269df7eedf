import * as grpc from '@grpc/grpc-js';
import type { Core } from '../core';

/** Needs no token: a load balancer asks for it. */
const HEALTH = '/grpc.health.v1.Health/';

/** Refuses calls without a token when their metadata arrive, before their message does. */
export function tokenInterceptor({ auth }: Core): grpc.ServerInterceptor {
  return (descriptor, call) => {
    if (!auth.isRequired || descriptor.path.startsWith(HEALTH)) return new grpc.ServerInterceptingCall(call);
    return new grpc.ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const [authorization] = metadata.get('authorization');
            if (auth.allows(authorization?.toString())) {
              proceed(metadata);
              return;
            }
            call.sendStatus({
              code: grpc.status.UNAUTHENTICATED,
              details: 'Expected a valid bearer token in the authorization metadata',
              metadata: new grpc.Metadata(),
            });
          },
        });
      },
    });
  };
}
