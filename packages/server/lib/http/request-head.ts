/** What a request's header fields say about its body. */
import type { IncomingMessage } from 'node:http';
import { invalid, Problem } from '../problem';

export type Encoding = 'identity' | 'gzip' | 'deflate';

export interface RequestHead {
  encoding: Encoding;
  /** The bytes of the body as it is sent; undefined if it comes in chunks. */
  contentLength?: number;
  /** The bytes of JSON at the beginning of the inflated body; undefined if all of it is JSON. */
  jsonBytes?: number;
}

const JSON_LENGTH = 'inference-header-content-length';
const ENCODINGS: Readonly<Record<string, Encoding>> = {
  '': 'identity',
  identity: 'identity',
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
};

/** Clients of the protocol send none of these three, or one. `curl -d` sends the last. */
const MEDIA =
  /^(?:application\/(?:[\w.-]+\+)?json|application\/octet-stream|application\/x-www-form-urlencoded)$/;

function checkMedia(contentType: string | undefined): void {
  const media = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (media === '' || MEDIA.test(media)) return;
  throw new Problem(
    'unsupported-media',
    `Expected Content-Type application/json or application/octet-stream but received ${media}`,
  );
}

function encodingOf(contentEncoding: string | undefined): Encoding {
  const encoding = ENCODINGS[(contentEncoding ?? '').trim().toLowerCase()];
  if (encoding !== undefined) return encoding;
  throw new Problem(
    'unsupported-media',
    `Expected Content-Encoding gzip, deflate or identity but received ${JSON.stringify(contentEncoding)}`,
  );
}

function jsonLength(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value);
  throw invalid(
    `Expected a number of bytes for Inference-Header-Content-Length but received ${JSON.stringify(value)}`,
  );
}

/** Throws a Problem: 400, 413 or 415. */
export function requestHead({ headers }: IncomingMessage, maxRequestBytes: number): RequestHead {
  checkMedia(headers['content-type']);
  const encoding = encodingOf(headers['content-encoding']);
  const jsonBytes = jsonLength(headers[JSON_LENGTH]);
  const stated = headers['content-length'];
  const contentLength = stated === undefined ? undefined : Number(stated);
  if ((contentLength ?? 0) > maxRequestBytes)
    throw new Problem('too-large', `The request is larger than ${maxRequestBytes} bytes`);
  if (encoding === 'identity' && contentLength !== undefined && (jsonBytes ?? 0) > contentLength)
    throw invalid(
      `Inference-Header-Content-Length is ${jsonBytes ?? 0} but the body has ${contentLength} bytes`,
    );
  return {
    encoding,
    ...(contentLength === undefined ? {} : { contentLength }),
    ...(jsonBytes === undefined ? {} : { jsonBytes }),
  };
}
