/** Feeds a request's body, inflated, to a {@link BodyReader}. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { runtime } from 'tokenlearner';
import { invalid, Problem } from '../problem';
import type { BodyReader } from './body-reader';
import type { Encoding } from './request-head';

const INFLATED_CHUNK = 65_536;

/** Chunks from this size on are freed at once. */
const LARGE = 16_384;

/**
 * Frees a chunk that is done, where it alone has its memory. Otherwise chunks stay until the next collection of young objects; as V8
 * counts them, they make it collect the whole heap, again and again.
 */
function free({ buffer, byteLength }: Buffer): void {
  if (byteLength >= LARGE && buffer.byteLength === byteLength) runtime.freeBuffer(buffer as ArrayBuffer);
}

function inflated(request: IncomingMessage, encoding: Encoding): Readable {
  if (encoding === 'identity') return request;
  const options = { chunkSize: INFLATED_CHUNK };
  return request.pipe(encoding === 'gzip' ? createGunzip(options) : createInflate(options));
}

/**
 * Resolves once the body is complete. After an error the rest of the body is discarded, so that the connection can go on. Rejects with a
 * Problem.
 */
export function readBody(request: IncomingMessage, encoding: Encoding, reader: BodyReader): Promise<void> {
  const source = inflated(request, encoding);
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      source.off('data', onData).off('end', onEnd);
      request.off('close', onClose);
      if (source === request) return;
      request.unpipe();
      source.destroy();
    };
    const fail = (error: unknown): void => {
      stop();
      request.resume();
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      reject(error);
    };
    const attempt = (work: () => void): boolean => {
      try {
        work();
        return true;
      } catch (error) {
        fail(error);
        return false;
      }
    };
    const onData = (chunk: Buffer): void => {
      attempt(() => {
        if (reader.push(chunk) && source === request) free(chunk);
      });
    };
    const onEnd = (): void => {
      const isWhole = attempt(() => {
        reader.end();
      });
      if (!isWhole) return;
      stop();
      resolve();
    };
    const onClose = (): void => {
      if (!request.complete) fail(new Problem('cancelled', 'The client closed the connection'));
    };
    source.on('data', onData).on('end', onEnd);
    request.on('close', onClose);
    // The request's own error says that the connection was closed, as 'close' does.
    request.on('error', () => undefined);
    if (source !== request)
      source.on('error', (error) => {
        fail(invalid(`The body is not valid ${encoding}: ${error.message}`));
      });
  });
}
