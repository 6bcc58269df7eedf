/** When an exchange is over. */
import type { IncomingMessage, ServerResponse } from 'node:http';

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
