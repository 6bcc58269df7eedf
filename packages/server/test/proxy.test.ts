/** The server behind nginx, as docs/server.md configures it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { selfSigned } from './certificate';
import { healthAt } from './grpc-support';
import { smallModel, start } from './support';

const PAGE = path.join(__dirname, '..', '..', '..', 'docs', 'server.md');
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}${path.delimiter}/usr/sbin` };
const hasNginx = spawnSync('nginx', ['-v'], { env }).status === 0;

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-proxy-'));
const files = selfSigned(folder);
let nginx: ChildProcess | undefined;
afterAll(async () => {
  if (nginx?.exitCode === null) {
    nginx.kill();
    await once(nginx, 'exit');
  }
  rmSync(folder, { recursive: true });
});

/** The page's block, with files and ports of this test, in a configuration that writes nothing outside the folder. */
function configuration(ports: { httpPort: number; grpcPort: number }): string {
  const block = /^```nginx\n([\s\S]*?)^```/m.exec(readFileSync(PAGE, 'utf8'))?.[1] ?? '';
  const own = [
    ['listen 443 ', `listen unix:${folder}/socket `],
    ['/etc/nginx/', `${folder}/`],
    ['127.0.0.1:8000', `127.0.0.1:${ports.httpPort}`],
    ['127.0.0.1:8001', `127.0.0.1:${ports.grpcPort}`],
  ].reduce((text, [from = '', to = '']) => {
    expect(text).toContain(from);
    return text.replaceAll(from, to);
  }, block);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${name};`,
  );
  return `daemon off; pid nginx.pid; error_log stderr error; events {}\nhttp { access_log off; ${temporary.join(' ')}\n${own}}\n`;
}

const get = (url: string): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    request({ socketPath: path.join(folder, 'socket'), path: url, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });

(hasNginx && files !== undefined ? it : it.skip)('nginx passes on HTTP and gRPC', async () => {
  const server = await start({ models: { m: smallModel() } });
  const { httpPort = 0, grpcPort } = server.address ?? {};
  const file = path.join(folder, 'nginx.conf');
  writeFileSync(file, configuration({ httpPort, grpcPort: grpcPort ?? 0 }));
  nginx = spawn('nginx', ['-p', folder, '-c', file], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  while (!existsSync(path.join(folder, 'nginx.pid'))) {
    if (nginx.exitCode !== null) throw new Error(`nginx ended with ${nginx.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(await get('/v2/models/m/ready')).toBe(200);
  expect(await get('/v2/models/other')).toBe(404);
  const credentials = grpc.credentials.createSsl(readFileSync(files?.cert ?? ''));
  const health = healthAt(`unix:${folder}/socket`, credentials, {
    'grpc.ssl_target_name_override': 'localhost',
  });
  expect(await health('m')).toEqual({ status: 'SERVING' });
});
