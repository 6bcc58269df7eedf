/** The parts of deploy/ray that need no Ray. test/deploy/live runs the rest. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deploy } from './manifests';

const folder = path.join(deploy, 'ray');
const PATH = `${process.env.PATH ?? ''}${path.delimiter}/usr/sbin`;
const env = { ...process.env, PATH, PYTHONDONTWRITEBYTECODE: '1' };

/** What a Python expression prints, in the folder of the scripts. */
function python(code: string): string {
  const { status, stdout, stderr } = spawnSync('python3', ['-c', code], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const isThere = (program: string): boolean => spawnSync(program, ['-V'], { env }).error === undefined;
const withPython = isThere('python3') ? it : it.skip;
const withNginx = isThere('python3') && isThere('nginx') ? it : it.skip;

const configuration = (urls: string[], work = '/work'): string =>
  python(
    `import proxy; print(proxy.configuration(${JSON.stringify(urls)}, ${JSON.stringify(work)}, port=7000))`,
  );

withPython('the proxy sends to each server, and again to another one what a server did not answer', () => {
  const text = configuration(['http://127.0.0.1:4001', 'http://10.0.0.2:4002']);
  expect([...text.matchAll(/^ *server ([^ {]+)/gm)].map(([, address]) => address)).toEqual([
    '127.0.0.1:4001',
    '10.0.0.2:4002',
  ]);
  expect(text).toMatch(/listen 127\.0\.0\.1:7000;/);
  expect(text).toMatch(/proxy_next_upstream error timeout http_503 non_idempotent;/);
});

withPython('the proxy answers 503 without servers', () => {
  const text = configuration([]);
  expect(text).toContain('return 503;');
  expect(text).not.toMatch(/upstream|proxy_pass/);
});

withPython('the proxy finds nginx where the PATH does not name its folder, as for a user of Debian', () => {
  const code = (PATH: string): string =>
    `import os, sys; os.environ["PATH"] = ${JSON.stringify(PATH)}; sys.argv = ["proxy.py"]; import proxy; print(proxy.parse().nginx)`;
  expect(python(code('/nowhere')).trim()).toBe('/usr/sbin/nginx');
  const own = mkdtempSync(path.join(tmpdir(), 'tokenlearner-nginx-'));
  try {
    const program = path.join(own, 'nginx');
    writeFileSync(program, '', { mode: 0o755 });
    expect(python(code(own)).trim()).toBe(program);
  } finally {
    rmSync(own, { recursive: true });
  }
});

withNginx('nginx takes the configuration', () => {
  const work = mkdtempSync(path.join(tmpdir(), 'tokenlearner-nginx-'));
  try {
    for (const urls of [[], ['http://127.0.0.1:4001', 'http://127.0.0.1:4002']]) {
      const file = path.join(work, 'nginx.conf');
      writeFileSync(file, configuration(urls, work));
      const { status, stderr } = spawnSync('nginx', ['-t', '-p', work, '-c', file], {
        env,
        encoding: 'utf8',
      });
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    }
  } finally {
    rmSync(work, { recursive: true });
  }
});

withPython('offline.py: each task runs one command over links to its files, and keeps what is there', () => {
  const print =
    "import json, offline; print(json.dumps(offline.run_command('cli.js', 'w', '/links', 'out', ['--device', 'cpu'])))";
  expect(JSON.parse(python(print))).toEqual(
    [
      'node',
      'cli.js',
      'run',
      '--weights',
      'w',
      '--input',
      '/links/*',
      '--output-dir',
      'out',
      '--resume',
      '--quiet',
    ].concat(['--device', 'cpu']),
  );
  expect(() => python("import offline; offline.input_files('/nowhere/*.npy')")).toThrow(/No file matches/);
});

withPython('token_server.py: the command of docs/serving-at-scale.md gives the server its token file', () => {
  const page = readFileSync(path.join(deploy, '..', 'docs', 'serving-at-scale.md'), 'utf8');
  const command = /^python deploy\/ray\/token_server\.py (.*)$/m.exec(page)?.[1]?.split(' ');
  // Its options need no Ray: what the file imports of it is left empty.
  const code = `
import json, sys, types
ray = types.ModuleType("ray")
ray.remote = lambda **_: lambda kind: kind
ray.serve = types.ModuleType("ray.serve")
sys.modules.update({"ray": ray, "ray.serve": ray.serve})
sys.argv = ["token_server.py", *json.loads(${JSON.stringify(JSON.stringify(command))})]
import token_server
options = token_server.parse()
print(json.dumps([options.host, options.arguments]))`;
  expect(JSON.parse(python(code))).toEqual(['node', ['--token-file', '/app/tokens']]);
});

it('the packages of Python are pinned', () => {
  const lines = readFileSync(path.join(folder, 'requirements.txt'), 'utf8').trim().split('\n').slice(1);
  for (const line of lines) expect(line).toMatch(/^[a-z0-9-]+==\d[\d.]*$/);
});
