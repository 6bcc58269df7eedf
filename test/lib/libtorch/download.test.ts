import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { downloadFile, type DownloadOptions } from '../../../lib/libtorch/download';
import { serve, sha256, temporaryFolder } from './support';

const folder = temporaryFolder();
const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255));

let listener: RequestListener;
let url: string;
let close: () => void;
let requests: IncomingMessage[];
let files = 0;

beforeAll(async () => {
  const served = await serve((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  url = `${served.url}/torch.whl`;
  close = () => {
    served.server.closeAllConnections();
    served.server.close();
  };
});
afterAll(() => {
  close();
});
beforeEach(() => {
  requests = [];
});

/** Options for a new file; retries do not wait. */
function options(more: Partial<DownloadOptions> = {}): DownloadOptions {
  const target = path.join(folder, `${++files}.whl`);
  return { url, target, size: content.length, sha256: sha256(content), retryDelay: 0, ...more };
}

/** Answers a request as a well-behaved server does, ranges included. */
function send(request: IncomingMessage, response: ServerResponse, body = content): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start > 0) {
    response.writeHead(206, {
      'content-range': `bytes ${start}-${body.length - 1}/${body.length}`,
      'content-length': body.length - start,
    });
  } else {
    response.writeHead(200, { 'content-length': body.length });
  }
  response.end(body.subarray(start));
}

/** Sends the head of a whole answer and cuts the connection after some bytes. */
function cut(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-length': content.length });
  response.write(content.subarray(0, bytes), () => {
    // Time for the bytes to arrive before the connection goes.
    setTimeout(() => response.destroy(), 20);
  });
}

const ranges = (): (string | undefined)[] => requests.map((request) => request.headers.range);

describe('downloadFile', () => {
  it('brings the file and reports its progress', async () => {
    listener = send;
    const onProgress = jest.fn();
    const wanted = options({ onProgress });
    await downloadFile(wanted);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
    expect(existsSync(`${wanted.target}.part`)).toBe(false);
    expect(onProgress).toHaveBeenLastCalledWith({
      phase: 'download',
      done: content.length,
      total: content.length,
    });
  });

  it('continues after a cut connection with the bytes that are missing', async () => {
    listener = (request, response) => {
      if (requests.length === 1) cut(response, 100_000);
      else send(request, response);
    };
    const wanted = options();
    await downloadFile(wanted);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
    expect(ranges()).toEqual([undefined, 'bytes=100000-']);
  });

  it('continues what an earlier process left', async () => {
    listener = send;
    const wanted = options();
    writeFileSync(`${wanted.target}.part`, content.subarray(0, 1234));
    await downloadFile(wanted);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
    expect(ranges()).toEqual(['bytes=1234-']);
  });

  it('asks for nothing when an earlier process left all of it', async () => {
    const wanted = options();
    writeFileSync(`${wanted.target}.part`, content);
    await downloadFile(wanted);
    expect(requests).toEqual([]);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
  });

  it('starts again where the server knows no ranges', async () => {
    listener = (_request, response) => response.writeHead(200).end(content);
    const wanted = options();
    writeFileSync(`${wanted.target}.part`, content.subarray(0, 5000));
    await downloadFile(wanted);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
  });

  it('starts again where the server refuses the range', async () => {
    listener = (request, response) => {
      if (request.headers.range === undefined) send(request, response);
      else response.writeHead(416).end();
    };
    const wanted = options();
    writeFileSync(`${wanted.target}.part`, content.subarray(0, 5000));
    await downloadFile(wanted);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
    expect(ranges()).toEqual(['bytes=5000-', undefined]);
  });

  it('starts again when what an earlier process left was of another file', async () => {
    listener = send;
    const wanted = options();
    writeFileSync(`${wanted.target}.part`, Buffer.alloc(5000, 1));
    await downloadFile(wanted);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
    expect(ranges()).toEqual(['bytes=5000-', undefined]);
  });

  it('refuses and deletes a corrupt file', async () => {
    const corrupt = Buffer.from(content);
    corrupt[150_000] = (content[150_000] ?? 0) ^ 1;
    listener = (request, response) => {
      send(request, response, corrupt);
    };
    const wanted = options();
    await expect(downloadFile(wanted)).rejects.toThrow(
      `its sha256 is ${sha256(corrupt)}, expected ${wanted.sha256}`,
    );
    expect(existsSync(wanted.target)).toBe(false);
    expect(existsSync(`${wanted.target}.part`)).toBe(false);
    expect(requests).toHaveLength(1);
  });

  it('refuses a file that is longer than it should be', async () => {
    listener = (_request, response) => response.end(Buffer.concat([content, Buffer.from('more')]));
    const wanted = options();
    await expect(downloadFile(wanted)).rejects.toThrow('more than the expected 300000 bytes');
    expect(existsSync(`${wanted.target}.part`)).toBe(false);
  });

  it('gives up on a file that stays too short', async () => {
    listener = (_request, response) => {
      response.end(content.subarray(0, 1000));
    };
    const wanted = options({ attempts: 3 });
    await expect(downloadFile(wanted)).rejects.toThrow('the connection ended after 1000 of 300000 bytes');
    expect(existsSync(wanted.target)).toBe(false);
    expect(requests.length).toBeLessThanOrEqual(5);
  });

  it('follows a redirect', async () => {
    listener = (request, response) => {
      if (request.url === '/elsewhere') send(request, response);
      else response.writeHead(302, { location: '/elsewhere' }).end();
    };
    const wanted = options();
    await downloadFile(wanted);
    expect(readFileSync(wanted.target).equals(content)).toBe(true);
  });

  it.each([403, 404, 410])('fails at once on %d, with the address', async (status) => {
    listener = (_request, response) => response.writeHead(status).end();
    await expect(downloadFile(options())).rejects.toThrow(
      `Downloading ${url} failed: the server responded with ${status}`,
    );
    expect(requests).toHaveLength(1);
  });

  it.each([408, 429, 500, 503])('tries again on %d', async (status) => {
    listener = (request, response) => {
      if (requests.length < 3) response.writeHead(status).end();
      else send(request, response);
    };
    await downloadFile(options());
    expect(requests).toHaveLength(3);
  });

  it('waits for a slow server, and not for one that is silent', async () => {
    listener = (request, response) => {
      setTimeout(() => {
        send(request, response);
      }, 50);
    };
    await downloadFile(options({ timeout: 10_000 }));
    listener = () => undefined;
    await expect(downloadFile(options({ timeout: 50, attempts: 2 }))).rejects.toThrow(
      'Headers Timeout Error',
    );
  });

  it('says why there is no connection', async () => {
    const gone = await serve(() => undefined);
    gone.server.close();
    await once(gone.server, 'close');
    await expect(downloadFile(options({ url: gone.url, attempts: 2 }))).rejects.toThrow('ECONNREFUSED');
  });

  it('refuses a proxy that is no URL, without its password', async () => {
    const saved = process.env.http_proxy;
    try {
      for (const wrong of ['socks5://me:secret@proxy:1080', 'me:secret@proxy:port']) {
        process.env.http_proxy = wrong;
        const error: unknown = await downloadFile(options()).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'ERR_LIBTORCH_INSTALL' });
        expect((error as Error).message).toContain('http_proxy does not name an HTTP proxy');
        expect((error as Error).message).not.toContain('secret');
      }
    } finally {
      if (saved === undefined) delete process.env.http_proxy;
      else process.env.http_proxy = saved;
    }
  });

  it.each(['with', 'without'])(
    'goes through the proxy that the environment names, %s a scheme',
    async (has) => {
      listener = send;
      const tunnels: (string | undefined)[] = [];
      const proxy = await serve(() => undefined);
      proxy.server.on('connect', (request, socket) => {
        tunnels.push(request.url);
        const upstream = connect(Number(new URL(url).port), '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
          upstream.pipe(socket).pipe(upstream);
        });
        socket.on('error', () => upstream.destroy());
        upstream.on('error', () => socket.destroy());
      });
      const saved = { http_proxy: process.env.http_proxy, no_proxy: process.env.no_proxy };
      try {
        Object.assign(process.env, {
          http_proxy: has === 'with' ? proxy.url : new URL(proxy.url).host,
          no_proxy: '',
        });
        await downloadFile(options());
        expect(tunnels).toEqual([new URL(url).host]);
        process.env.no_proxy = '127.0.0.1';
        await downloadFile(options());
        expect(tunnels).toHaveLength(1);
      } finally {
        for (const [name, value] of Object.entries(saved)) {
          if (value === undefined) Reflect.deleteProperty(process.env, name);
          else process.env[name] = value;
        }
        proxy.server.closeAllConnections();
        proxy.server.close();
      }
    },
  );
});
