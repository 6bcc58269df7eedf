import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { main as basic } from '../examples/basic';
import { main as customParameters } from '../examples/custom-parameters';
import { main as fuser } from '../examples/fuser';
import { main as largeInputs } from '../examples/large-inputs';
import { main as ownModule } from '../examples/own-module';
import { main as rt1Tokenizer } from '../examples/rt1-tokenizer';
import { main as sequential } from '../examples/sequential';

beforeEach(() => {
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
});

test.each([
  ['basic', basic, [1, 64, 8]],
  ['custom-parameters', customParameters, [2, 128, 16]],
  ['sequential', sequential, [1, 10]],
  ['own-module', ownModule, [1, 10]],
  ['large-inputs', largeInputs, [1, 64, 8]],
  ['fuser', fuser, [2, 196, 64]],
  ['rt1-tokenizer', rt1Tokenizer, [48, 512]],
])('examples/%s.ts runs as documented', async (_, main, shape) => {
  expect(await main()).toEqual(shape);
});

test("the command of the examples' page runs a .ts file", async () => {
  const root = path.join(__dirname, '..');
  const page = await readFile(path.join(root, 'examples', 'README.md'), 'utf8');
  const command = /^```sh\n(.*)\n```/m.exec(page)?.[1] ?? '';
  expect(command).toContain('./examples/basic');
  const { stdout } = await promisify(execFile)('bash', ['-c', command], { cwd: root });
  expect(stdout).toBe('[ 1, 64, 8 ]\n');
});

test('examples/worker.mjs runs as documented', async () => {
  const file = path.join(__dirname, '..', 'examples', 'worker.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [file]);
  expect(stdout).toBe('[ [ 1, 64, 8, true ], [ 1, 64, 8, true ] ]\n');
});

test('examples/pictures.mjs runs as documented', async () => {
  const file = path.join(__dirname, '..', 'examples', 'pictures.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [file]);
  expect(stdout).toBe('[ 1, 3, 224, 224 ]\n[ 1, 64, 8 ]\n224 224 3 150528\n');
});
