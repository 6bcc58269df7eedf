/** What happens when a call's metadata arrive, before its message does, and when it ends. */
import * as grpc from '@grpc/grpc-js';
import type { Core } from '../core';
import { boundedMessage, Problem, problemOf } from '../problem';
import { TrackedRequest } from '../tracked-request';

/** Health needs no token: a load balancer asks for it. */
const HEALTH = '/grpc.health.v1.Health/';

interface Hooks {
  /** Sees the metadata. What it throws is the call's status. */
  begin(metadata: grpc.Metadata): void;
  /** The call has ended: its status has been written after its answer, or its stream was closed. */
  end?(): void;
}

/** Calls `hooksOf` for each call. */
function onCall(hooksOf: (path: string) => Hooks | undefined): grpc.ServerInterceptor {
  return (descriptor, call) => {
    const hooks = hooksOf(descriptor.path);
    if (hooks === undefined) return new grpc.ServerInterceptingCall(call);
    return new grpc.ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            try {
              hooks.begin(metadata);
            } catch (error) {
              const { grpc: code, message: details } = problemOf(error);
              call.sendStatus({ code, details, metadata: new grpc.Metadata() });
              return;
            }
            proceed(metadata);
          },
          // Once for each call, also for one that succeeds.
          onCancel: () => hooks.end?.(),
        });
      },
    });
  };
}

/** Cuts the messages of statuses, also of those that the services of libraries send. Has to be the first of the interceptors. */
export const boundedStatus: grpc.ServerInterceptor = (_descriptor, call) =>
  new grpc.ServerInterceptingCall(call, {
    sendStatus: (status, next) => {
      next({ ...status, details: boundedMessage(status.details) });
    },
  });

/** Refuses calls without a token, but for health: grpc.health.v1 and the `open` paths. */
export function tokenInterceptor({ auth }: Core, open: readonly string[]): grpc.ServerInterceptor {
  return onCall((path) => {
    if (!auth.isRequired || path.startsWith(HEALTH) || open.includes(path)) return undefined;
    return {
      begin(metadata) {
        const [authorization] = metadata.get('authorization');
        if (!auth.allows(authorization?.toString()))
          throw new Problem('unauthenticated', 'Expected a valid bearer token in the authorization metadata');
      },
    };
  });
}

/**
 * Counts inferences in and out. Refuses them while the server does not serve, or while the queue of its only model is full. Of several
 * models only the message names one, so their queues are looked at when it has arrived.
 */
export function admissionInterceptor(core: Core, inferPath: string): grpc.ServerInterceptor {
  return onCall((path) => {
    if (path !== inferPath) return undefined;
    let isUnderWay = false;
    return {
      begin(metadata) {
        core.lifecycle.enter();
        isUnderWay = true;
        checkQueue(core, metadata);
      },
      end() {
        if (isUnderWay) core.lifecycle.leave();
        isUnderWay = false;
      },
    };
  });
}

/** Throws a Problem while the queue of the only model is full. */
function checkQueue(core: Core, metadata: grpc.Metadata): void {
  const [model, ...others] = core.models.all();
  if (model === undefined || others.length > 0) return;
  try {
    model.admit(0).release();
  } catch (error) {
    const problem = problemOf(error);
    new TrackedRequest(core, model, { protocol: 'grpc', carrier: metadata.getMap() }).fail(problem);
    throw problem;
  }
}
