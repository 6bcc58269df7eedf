/** What is refused when a call's metadata arrive, before its message does. */
import * as grpc from '@grpc/grpc-js';
import type { Core } from '../core';
import { Problem, problemOf } from '../problem';
import { TrackedRequest } from '../tracked-request';

/** Needs no token: a load balancer asks for it. */
const HEALTH = '/grpc.health.v1.Health/';

type Check = (metadata: grpc.Metadata) => void;

/** Calls `checkOf` for each call. The check that it returns, if any, sees the metadata; what it throws is the call's status. */
function onMetadata(checkOf: (path: string) => Check | undefined): grpc.ServerInterceptor {
  return (descriptor, call) => {
    const check = checkOf(descriptor.path);
    if (check === undefined) return new grpc.ServerInterceptingCall(call);
    return new grpc.ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            try {
              check(metadata);
            } catch (error) {
              const { grpc: code, message: details } = problemOf(error);
              call.sendStatus({ code, details, metadata: new grpc.Metadata() });
              return;
            }
            proceed(metadata);
          },
        });
      },
    });
  };
}

/** Refuses calls without a token. */
export function tokenInterceptor({ auth }: Core): grpc.ServerInterceptor {
  return onMetadata((path) => {
    if (!auth.isRequired || path.startsWith(HEALTH)) return undefined;
    return (metadata) => {
      const [authorization] = metadata.get('authorization');
      if (!auth.allows(authorization?.toString()))
        throw new Problem('unauthenticated', 'Expected a valid bearer token in the authorization metadata');
    };
  });
}

/**
 * Refuses inferences while the server does not serve, or while the queue of its only model is full. Of several models only the
 * message names one, so their queues are looked at when it has arrived.
 */
export function admissionInterceptor(core: Core, inferPath: string): grpc.ServerInterceptor {
  return onMetadata((path) => {
    if (path !== inferPath) return undefined;
    return (metadata) => {
      core.lifecycle.demandServing();
      const [model, ...others] = core.models.all();
      if (model === undefined || others.length > 0) return;
      try {
        model.admit(0).release();
      } catch (error) {
        new TrackedRequest(core, model, { protocol: 'grpc', carrier: metadata.getMap() }).fail(
          problemOf(error),
        );
        throw error;
      }
    };
  });
}
