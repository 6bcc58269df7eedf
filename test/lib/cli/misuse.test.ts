/** Wrong usage and missing rights: the exit code, one message without a stack trace, and nothing on standard output. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { main } from '../../../lib/cli/main';
import { temporaryFolder } from '../libtorch/support';
import { captureStreams } from './support';

const MAIN = path.resolve(__dirname, '..', '..', '..', 'dist', 'cli', 'main.js');
const folder = temporaryFolder();
const FILES = ['-w', 'w.safetensors', '-i', 'x.npy', '-o', 'y.npy'];

const written = captureStreams();
beforeEach(() => {
  // Never the user's own cache.
  jest.replaceProperty(process, 'env', { ...process.env, TOKENLEARNER_CACHE: path.join(folder, 'cache') });
});

const call = (...args: string[]): Promise<number> => main(['node', 'tokenlearner', ...args]);

it.each<[string[], RegExp]>([
  [['nonsense'], /unknown command 'nonsense'/],
  [['--nonsense'], /unknown option '--nonsense'/],
  [['info', 'more'], /too many arguments/],
  [['info', '--jsom'], /unknown option '--jsom'/],
  [['doctor', 'more'], /too many arguments/],
  [['run'], /required option '-w, --weights <file>' not specified/],
  [
    ['run', ...FILES, '--device', 'gpu'],
    /'--device <device>' argument 'gpu' is invalid.*auto, cpu, cuda, cuda:N/,
  ],
  [['run', ...FILES, '--engine', 'fast'], /argument 'fast' is invalid/],
  [['run', ...FILES, '--layout'], /argument missing/],
  [['run', '-w', '', '-i', 'x', '-o', 'y'], /argument '' is invalid. It is empty/],
  [['run', ...FILES, '--input', 'more.npy'], /--output is for one input, not 2: x\.npy, more\.npy/],
  [['run', ...FILES, '--weights', 'more.pt'], /'-w, --weights <file>' was given more than once/],
  [
    ['run', ...FILES, '--engine', 'auto', '--engine', 'fused'],
    /'--engine <engine>' was given more than once/,
  ],
  [
    ['run', ...FILES, '--attention', './y.npy'],
    /--attention is the file of --output, which it would replace/,
  ],
  [['run', '-w', 'w', '-i', 'x.npy', '-o', './w'], /--output is a file of the weights/],
  [['run', ...FILES, '-a', 'w.safetensors'], /--attention is a file of the weights/],
  [['run', '-w', '-', '-i', '-', '-o', 'y'], /--weights and --input cannot both be standard input/],
  [
    ['serve', '-m', 'a=w', '--grpc-port', '5', '--no-grpc-port'],
    /'--no-grpc-port' does not go with '--grpc-port <port>'/,
  ],
  [['visualize', ...FILES, '--no-animate', '--animate'], /'--animate' does not go with '--no-animate'/],
  [['visualize', ...FILES.slice(0, 4), '-o', 'x.png', '--animate'], /ends in \.gif or \.webp/],
  [['visualize', ...FILES.slice(0, 4), '-o', '-', '--animate'], /--animate needs --format gif or webp/],
  [['serve', '-m', 'a=w', '--host', 'a', '--host', 'b'], /'--host <address>' was given more than once/],
  [['convert', 'w.safetensors', '-'], /the name of the output decides its format/],
  [['runtime', 'install', '--variant', 'cpu', '--variant', 'cu130'], /was given more than once/],
  [['runtime', 'remove'], /Expected one of --variant, --dir and --all/],
  [['runtime', 'remove', '--all', '--variant', 'cpu'], /Expected one of --variant, --dir and --all/],
  [['runtime', 'remove', '--variant', 'typo'], /Expected one of cpu, .* but received typo/],
  [['runtime', 'remove', '--dir', ''], /argument '' is invalid/],
  [['runtime', 'install', '--variant', 'typo'], /Expected one of cpu, .* but received typo/],
  [['runtime', 'install', '--dir', ''], /argument '' is invalid/],
  [['runtime', 'path', '--variant', 'typo'], /Expected one of cpu, .* but received typo/],
  [['runtime', 'list', 'more'], /too many arguments/],
])('%j is wrong usage: exit code 2', async (args, message) => {
  expect(await call(...args)).toBe(2);
  expect(written.errors).toMatch(message);
  expect(written.errors).not.toMatch(/\n\s+at /);
  expect(written.out).toBe('');
});

it.each<[string[], RegExp]>([
  [['run', '-w', path.join(folder, 'none'), '-i', 'x', '-o', 'y'], /none.*\[ERR_FILE_IO\]/],
  [['run', '-w', folder, '-i', 'x', '-o', 'y'], /\[ERR_FILE_IO\]/],
  [
    ['runtime', 'install', '--from-file', path.join(folder, 'none')],
    /No such file.*\[ERR_LIBTORCH_INSTALL\]/,
  ],
  [['runtime', 'install', '--from-file', __filename, '--dir', path.dirname(__filename)], /neither empty nor/],
  [['runtime', 'remove', '--dir', folder], /holds no libtorch.*\[ERR_LIBTORCH_INSTALL\]/],
])('%j fails: exit code 1', async (args, message) => {
  expect(await call(...args)).toBe(1);
  expect(written.errors).toMatch(message);
  expect(written.errors).not.toMatch(/\n\s+at /);
  expect(written.out).toBe('');
});

it.each(['-h', 'help', '--version'])('%s is no failure', async (flag) => {
  expect(await call(flag)).toBe(0);
  expect([written.out.length > 0, written.errors]).toEqual([true, '']);
});

it.each([
  [['run', '-w', 'w', '-o', 'y', '--input', '-'], 'stdin'],
  [['run', '-i', 'x', '-o', 'y', '--weights', '-'], 'stdin'],
  [['inspect', '-'], 'stdin'],
  [['convert', '-', 'w.npz'], 'stdin'],
  [['run', '-w', 'w', '-i', 'x', '--output', '-'], 'stdout'],
] as const)('a terminal is refused: %j', async (args, stream) => {
  const own = Object.getOwnPropertyDescriptor(process[stream], 'isTTY');
  Object.defineProperty(process[stream], 'isTTY', { value: true, configurable: true });
  try {
    expect(await call(...args)).toBe(2);
    expect(written.errors).toMatch(/which is a terminal/);
  } finally {
    Reflect.deleteProperty(process[stream], 'isTTY');
    if (own !== undefined) Object.defineProperty(process[stream], 'isTTY', own);
  }
});

it('doctor reports that no child process can be started', () => {
  const code = `
    require('node:child_process').spawnSync = (file) =>
      ({ pid: 0, output: null, stdout: null, stderr: null, status: null, signal: null, error: new Error('spawnSync ' + file + ' EAGAIN') });
    const { main } = require(${JSON.stringify(MAIN)});
    void main(['node', 'tokenlearner', 'doctor']).then((code) => { process.exitCode = code; });`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--eval', code], { encoding: 'utf8' });
  expect(stdout).toMatch(/FAIL {2}probe +no child process could try it: spawnSync .* EAGAIN/);
  expect(stderr).toBe('');
  expect(status).toBe(1);
});
