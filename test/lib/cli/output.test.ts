import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  createReadStream,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { loadNpy, loadWeights, saveNpy, saveSafetensors, Tensor, TokenLearner } from '../../../lib';
import { temporaryFolder } from '../libtorch/support';

const MAIN = path.resolve(__dirname, '..', '..', '..', 'dist', 'cli', 'main.js');
const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** `tokenlearner run` on a small model. `stdout` and `stdin` are descriptors; an `--input` in `more` replaces the usual one. */
function start(
  more: string[],
  stdout: number | 'pipe' = 'pipe',
  stdin: number | 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  const input = more.includes('--input') ? [] : ['--input', at('x.npy')];
  const args = ['run', '--device', 'cpu', '--weights', at('w.safetensors'), ...input, ...more];
  return spawn(process.execPath, [MAIN, ...args], { stdio: [stdin, stdout, 'pipe'] });
}

/** Its exit code and all that it wrote. */
async function ended(child: ChildProcess): Promise<{ code: number | null; out: Buffer; said: string }> {
  const [out, said]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out: Buffer.concat(out), said: Buffer.concat(said).toString() };
}

beforeAll(async () => {
  const model = new TokenLearner({ dim: 6, ffMult: 2, numOutputTokens: 3, device: 'cpu' });
  await saveSafetensors(at('w.safetensors'), model.stateDict());
  await saveNpy(at('x.npy'), Tensor.ones([1, 6, 4, 4]));
  await ended(start(['--output', at('expected.npy')]));
});

onLinux('standard output as the file of a result', () => {
  it.each(['-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'])(
    '%s gets the array and nothing else',
    async (file) => {
      const { code, out, said } = await ended(start(['--output', file]));
      expect({ code, equal: out.equals(readFileSync(at('expected.npy'))) }).toEqual({ code: 0, equal: true });
      expect(said).toContain('(1, 6, 4, 4) -> (1, 6, 3)');
    },
  );

  it('also for the attention maps', async () => {
    const { out } = await ended(start(['--output', at('y.npy'), '--attention', '/dev/stdout']));
    writeFileSync(at('maps.npy'), out);
    expect((await loadNpy(at('maps.npy'))).shape).toEqual([1, 3, 4, 4]);
  });

  it('that is a file keeps what is in it', async () => {
    writeFileSync(at('log'), 'before');
    const log = openSync(at('log'), 'a');
    const { code } = await ended(start(['--output', '/dev/stdout'], log));
    closeSync(log);
    expect(code).toBe(0);
    const expected = Buffer.concat([Buffer.from('before'), readFileSync(at('expected.npy'))]);
    expect(readFileSync(at('log')).equals(expected)).toBe(true);
  });

  it('that is full fails the command, with one message', async () => {
    const full = openSync('/dev/full', 'w');
    const { code, said } = await ended(start(['--output', '-', '--quiet'], full));
    closeSync(full);
    expect({ code, said }).toEqual({
      code: 1,
      said: 'tokenlearner: standard output: cannot be written: ENOSPC: no space left on device, write [ERR_FILE_IO]\n',
    });
  });

  it('without a reader ends the command quietly', async () => {
    const child = start(['--output', '/dev/stdout', '--quiet']);
    child.stdout?.destroy();
    expect(await ended(child)).toMatchObject({ code: 0, said: '' });
  });

  it.each(['-', '/dev/stdout'])('%s without a reader: the other file is written', async (file) => {
    rmSync(at('maps.npy'), { force: true });
    const child = start(['--output', file, '--attention', at('maps.npy'), '--quiet']);
    child.stdout?.destroy();
    expect(await ended(child)).toMatchObject({ code: 0, said: '' });
    expect((await loadNpy(at('maps.npy'))).shape).toEqual([1, 3, 4, 4]);
  });

  it('twice without a reader ends the command quietly', async () => {
    const child = start(['--output', '-', '--attention', '-', '--quiet']);
    child.stdout?.destroy();
    expect(await ended(child)).toMatchObject({ code: 0, said: '' });
  });
});

/** Reads a few bytes of what another process writes to a named pipe, then closes it. */
async function readStart(pipe: number): Promise<void> {
  let read = 0;
  while (read === 0) {
    await setTimeout(5);
    try {
      read = readSync(pipe, new Uint8Array(8));
    } catch {
      // Nothing is there yet.
    }
  }
  closeSync(pipe);
}

onLinux('a named pipe as the file of a result', () => {
  it('whose reader goes early: the other file is written', async () => {
    // The tokens are more than a pipe holds.
    await saveNpy(at('many.npy'), Tensor.ones([20_000, 6, 1, 1]));
    spawnSync('mkfifo', [at('pipe')]);
    const pipe = openSync(at('pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
    const files = ['--input', at('many.npy'), '--output', at('pipe'), '--attention', at('many-maps.npy')];
    const child = start([...files, '--quiet']);
    const [end] = await Promise.all([ended(child), readStart(pipe)]);
    expect(end).toMatchObject({ code: 0, said: '' });
    expect((await loadNpy(at('many-maps.npy'))).shape).toEqual([20_000, 3, 1, 1]);
  });
});

it('a file of its own leaves standard output to the message', async () => {
  const { out, said } = await ended(start(['--output', at('y.npy')]));
  expect(out.toString()).toContain('(1, 6, 4, 4) -> (1, 6, 3)');
  expect(said).toBe('');
});

describe('standard input as the feature map', () => {
  it('from a pipe, in small pieces, to a pipe: nothing but the array', async () => {
    const child = start(['--input', '-', '--output', '-', '--quiet'], 'pipe', 'pipe');
    createReadStream(at('x.npy'), { highWaterMark: 7 }).pipe(child.stdin as NodeJS.WritableStream);
    const { code, out, said } = await ended(child);
    expect({ code, said }).toEqual({ code: 0, said: '' });
    expect(out.equals(readFileSync(at('expected.npy')))).toBe(true);
  });

  it('from a file', async () => {
    const file = openSync(at('x.npy'), 'r');
    const { code, out } = await ended(start(['--input', '-', '--output', at('y.npy')], 'pipe', file));
    closeSync(file);
    expect(code).toBe(0);
    expect(out.toString()).toContain('(1, 6, 4, 4) -> (1, 6, 3)');
    expect(readFileSync(at('y.npy')).equals(readFileSync(at('expected.npy')))).toBe(true);
  });

  it('that is empty, or no array, is an error', async () => {
    const empty = await ended(start(['--input', '-', '--output', '-']));
    expect(empty.code).toBe(1);
    expect(empty.said).toMatch(/^tokenlearner: standard input: .*\[ERR_FILE_FORMAT\]\n$/);
    expect(empty.out).toHaveLength(0);
    const child = start(['--input', '-', '--output', '-'], 'pipe', 'pipe');
    child.stdin?.end('no array at all, but long enough for a header of one');
    expect(await ended(child)).toMatchObject({
      code: 1,
      said: expect.stringContaining('[ERR_FILE_FORMAT]') as string,
    });
  });
});

describe('standard input as a file of weights', () => {
  const command = (args: string[]): ChildProcess => {
    const file = openSync(at('w.safetensors'), 'r');
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: [file, 'pipe', 'pipe'] });
    closeSync(file);
    return child;
  };

  it('of run', async () => {
    const args = ['run', '--device', 'cpu', '--weights', '-', '--input', at('x.npy'), '--output', '-', '-q'];
    const { code, out, said } = await ended(command(args));
    expect({ code, said }).toEqual({ code: 0, said: '' });
    expect(out.equals(readFileSync(at('expected.npy')))).toBe(true);
  });

  it('of inspect', async () => {
    const { code, out } = await ended(command(['inspect', '-']));
    expect(code).toBe(0);
    expect(out.toString()).toMatch(/^safetensors: 4 tensors/);
  });

  it('of convert', async () => {
    const { code, out } = await ended(command(['convert', '-', at('w.npz')]));
    expect({ code, out: out.toString() }).toEqual({ code: 0, out: `4 tensors: ${at('w.npz')}\n` });
    expect(Object.keys(await loadWeights(at('w.npz')))).toHaveLength(4);
  });
});
