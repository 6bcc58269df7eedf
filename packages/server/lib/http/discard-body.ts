import type { IncomingMessage } from 'node:http';

/** The most bytes, and the longest time in milliseconds, to read a body that nobody wants. */
const [MOST_BYTES, LONGEST] = [16 * 1024 * 1024, 2000];

/** Reads and drops a request's body, up to a limit. Not one that the client only sends once it is told to. */
export function discardBody(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed || request.headers.expect !== undefined) return Promise.resolve();
  return new Promise((resolve) => {
    let bytes = 0;
    const done = (): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', done).off('close', done);
      resolve();
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) done();
    };
    const timer = setTimeout(done, LONGEST);
    request.on('data', onData).on('end', done).on('close', done);
    request.resume();
  });
}
