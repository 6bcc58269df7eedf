/** Feeds a request's body, inflated, to a {@link BodyReader}. */
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib';
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

/** The problem of a request whose connection was closed before all of it was there: by the server, which has answered then, or by the client. */
function departed({ socket }: IncomingMessage): Problem {
  const { code } = Object(socket.errored) as { code?: string };
  return code === 'ERR_HTTP_REQUEST_TIMEOUT'
    ? new Problem('too-slow', 'The request did not arrive in time')
    : new Problem('cancelled', 'The client closed the connection');
}

function inflaterFor(encoding: Encoding): Gunzip | Inflate | undefined {
  if (encoding === 'identity') return undefined;
  const options = { chunkSize: INFLATED_CHUNK };
  return encoding === 'gzip' ? createGunzip(options) : createInflate(options);
}

/**
 * Resolves once the body is complete. After an error the rest of the body is discarded, so that the connection can go on. Rejects with a
 * Problem.
 */
export function readBody(request: IncomingMessage, encoding: Encoding, reader: BodyReader): Promise<void> {
  const inflater = inflaterFor(encoding);
  const source = inflater ?? request;
  /** The bytes that have arrived, of a body that is inflated. */
  let received = 0;
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      source.off('data', onData).off('end', onEnd);
      request.off('data', onDeflated).off('end', finish).off('close', onClose);
      if (inflater === undefined) return;
      request.unpipe();
      inflater.destroy();
    };
    const finish = (): void => {
      stop();
      resolve();
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
    const checkEnd = (): void => {
      if (inflater?.readableEnded === true && received > inflater.bytesWritten)
        throw invalid(`The body goes on after its ${encoding} data`);
    };
    const onDeflated = (chunk: Buffer): void => {
      received += chunk.length;
      attempt(checkEnd);
    };
    const onData = (chunk: Buffer): void => {
      attempt(() => {
        if (reader.push(chunk) && source === request) free(chunk);
      });
    };
    const onEnd = (): void => {
      const isWhole = attempt(() => {
        reader.end();
        checkEnd();
      });
      if (!isWhole) return;
      if (request.readableEnded) finish();
      else request.unpipe().on('end', finish).resume();
    };
    const onClose = (): void => {
      // `complete` tells of the parser: a body that is inflated may be whole and not be read.
      if (!request.readableEnded) fail(departed(request));
    };
    source.on('data', onData).on('end', onEnd);
    request.on('close', onClose);
    // The request's own error says that the connection was closed, as 'close' does.
    request.on('error', () => undefined);
    if (inflater === undefined) return;
    inflater.on('error', (error) => {
      fail(invalid(`The body is not valid ${encoding}: ${error.message}`));
    });
    request.on('data', onDeflated).pipe(inflater);
  });
}
