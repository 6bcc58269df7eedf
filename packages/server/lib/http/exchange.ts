/** When an exchange is over, and whether its connection ends with it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Lifecycle } from '../lifecycle';

/** The last request of each connection so far. */
const lastOf = new WeakMap<Socket, IncomingMessage>();

/** To be called with each request, in their order. */
export function noteRequest(request: IncomingMessage): void {
  lastOf.set(request.socket, request);
}

/** True if the answer to a request has to say that its connection ends: the server is closing, and no other request waits behind this one. */
export function endsConnection(request: IncomingMessage, { isDraining }: Lifecycle): boolean {
  return isDraining && lastOf.get(request.socket) === request;
}

/**
 * Resolves once the response is closed, or its connection is: Node closes no response that waits behind another one of a connection that
 * has gone. Never rejects.
 */
export function over({ socket }: IncomingMessage, response: ServerResponse): Promise<void> {
  // Each request that a client sends before the answers to others adds a listener.
  socket.setMaxListeners(0);
  return new Promise((resolve) => {
    const end = (): void => {
      response.off('close', end);
      socket.off('close', end);
      resolve();
    };
    if (response.closed || socket.closed) {
      resolve();
      return;
    }
    response.on('close', end);
    socket.on('close', end);
  });
}
