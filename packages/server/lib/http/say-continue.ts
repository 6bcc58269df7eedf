import type { IncomingMessage, ServerResponse } from 'node:http';

/** Tells a client that asks for it to send its body. */
export function sayContinue(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
}
