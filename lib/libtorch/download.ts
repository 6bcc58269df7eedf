import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EnvHttpProxyAgent, fetch, type Response } from 'undici';
import { makeFolders } from '../folders';
import { installError } from './install-error';
import type { OnProgress } from './progress';

/** A file to download, and its expected size and hash. */
export interface DownloadOptions {
  url: string;
  /** Absolute path. An interrupted download leaves `<target>.part`, and the next one continues it. */
  target: string;
  /** Bytes. */
  size: number;
  /** Lower-case hexadecimal. */
  sha256: string;
  onProgress?: OnProgress | undefined;
  /** Consecutive attempts without progress before it gives up. @default 5 */
  attempts?: number;
  /** Milliseconds before the second attempt; doubles with each further one. @default 500 */
  retryDelay?: number;
  /** Milliseconds without a byte before an attempt counts as failed. @default 60000 */
  timeout?: number;
}

/** The state of `<target>.part`. */
interface Partial {
  file: string;
  received: number;
  hash: Hash;
  /** Bytes from earlier attempts. They may belong to another file. */
  resumedFrom: number;
}

/** A failure that is worth another attempt. */
class TransientError extends Error {}

/**
 * Downloads a file over HTTP, through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name. The file appears at
 * `target` only if its size and sha256 are right. An interrupted transfer continues with a Range request, or restarts if the
 * server does not support ranges. A wrong file is deleted.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if the download fails or the file is not the expected one, and if a proxy's name is no URL.
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  const { attempts = 5, retryDelay = 500, timeout = 60_000, target } = options;
  await makeFolders(path.dirname(target), 0o755);
  const agent = new EnvHttpProxyAgent({ ...proxies(), headersTimeout: timeout, bodyTimeout: timeout });
  try {
    let fruitless = 0;
    let furthest = 0;
    let restarted = false;
    for (;;) {
      const partial = await openPartial(`${target}.part`, options.size);
      try {
        await receive(partial, options, agent);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        fruitless = partial.received > Math.max(furthest, partial.resumedFrom) ? 0 : fruitless + 1;
        furthest = Math.max(furthest, partial.received);
        if (fruitless >= attempts)
          throw installError(`Downloading ${options.url} failed: ${error.message}`, error);
        await sleep(retryDelay * 2 ** fruitless);
        continue;
      }
      if (await accept(partial, options, restarted || partial.resumedFrom === 0)) return;
      restarted = true;
    }
  } finally {
    await agent.destroy();
  }
}

/** The proxies that the environment names. As for curl, one without a scheme is an HTTP proxy. */
function proxies(): { httpProxy?: string; httpsProxy?: string } {
  const [httpProxy, httpsProxy] = [
    proxyOf('http_proxy', 'HTTP_PROXY'),
    proxyOf('https_proxy', 'HTTPS_PROXY'),
  ];
  return { ...(httpProxy && { httpProxy }), ...(httpsProxy && { httpsProxy }) };
}

function proxyOf(...names: string[]): string | undefined {
  const name = names.find((each) => process.env[each]);
  const value = name && process.env[name];
  if (value === undefined || value === '') return undefined;
  const url = value.includes('://') ? value : `http://${value}`;
  if (URL.canParse(url) && /^https?:/i.test(url)) return url;
  // Without its user and password.
  throw installError(
    `${String(name)} does not name an HTTP proxy, such as http://proxy:3128: ${url.replace(/\/\/.*@/, '//')}`,
  );
}

/** Hashes what an earlier attempt left. */
async function openPartial(file: string, size: number): Promise<Partial> {
  const hash = createHash('sha256');
  const existing = await stat(file).catch(() => null);
  if (existing === null || existing.size > size) {
    await rm(file, { force: true });
    return { file, received: 0, hash, resumedFrom: 0 };
  }
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return { file, received: existing.size, hash, resumedFrom: existing.size };
}

async function receive(partial: Partial, options: DownloadOptions, agent: EnvHttpProxyAgent): Promise<void> {
  if (partial.received === options.size) return;
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (partial.received > 0) headers.range = `bytes=${partial.received}-`;
  let response: Response;
  try {
    response = await fetch(options.url, { headers, dispatcher: agent });
  } catch (error) {
    throw new TransientError(describe(error), { cause: error });
  }
  await checkStatus(response, partial, options);
  await store(response, partial, options);
  if (partial.received < options.size) {
    throw new TransientError(`the connection ended after ${partial.received} of ${options.size} bytes`);
  }
}

async function checkStatus(response: Response, partial: Partial, options: DownloadOptions): Promise<void> {
  const { status } = response;
  if (status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${partial.received}-`))
    return;
  if (status === 200) {
    // The server does not support ranges and sends the file from its beginning.
    partial.received = 0;
    partial.resumedFrom = 0;
    partial.hash = createHash('sha256');
    return;
  }
  await response.body?.cancel();
  if (status === 206 || status === 416) {
    await rm(partial.file, { force: true });
    throw new TransientError(`the server refused to continue at byte ${partial.received}`);
  }
  const message = `the server responded with ${status}${response.statusText && ` ${response.statusText}`}`;
  if (status >= 500 || status === 408 || status === 429) throw new TransientError(message);
  throw installError(`Downloading ${options.url} failed: ${message}`);
}

async function store(response: Response, partial: Partial, options: DownloadOptions): Promise<void> {
  if (response.body === null) throw new TransientError('the server responded without a body');
  const handle = await open(partial.file, partial.received > 0 ? 'a' : 'w');
  try {
    for await (const chunk of withTransientErrors(response.body)) {
      partial.received += chunk.length;
      if (partial.received > options.size) break;
      partial.hash.update(chunk);
      await handle.writeFile(chunk);
      options.onProgress?.({ phase: 'download', done: partial.received, total: options.size });
    }
  } finally {
    await handle.close();
  }
}

/** Marks errors of the connection as transient. Errors of the consumer, such as a full disk, are not. */
async function* withTransientErrors(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw new TransientError(describe(error), { cause: error });
  }
}

/** Returns false if the file is wrong but began with bytes of an earlier attempt, so a fresh start may fix it. */
async function accept(partial: Partial, options: DownloadOptions, final: boolean): Promise<boolean> {
  const digest = partial.received === options.size ? partial.hash.digest('hex') : null;
  if (digest === options.sha256) {
    await rename(partial.file, options.target);
    return true;
  }
  await rm(partial.file, { force: true });
  if (!final) return false;
  const difference =
    digest === null
      ? `it has more than the expected ${options.size} bytes`
      : `its sha256 is ${digest}, expected ${options.sha256}`;
  throw installError(`${options.url} is not the expected file and was deleted: ${difference}`);
}

/** undici says "fetch failed" or "terminated" and keeps the reason in the cause. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  return error.cause === undefined ? error.message : describe(error.cause);
}
