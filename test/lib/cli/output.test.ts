import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadNpy, saveNpy, saveSafetensors, Tensor, TokenLearner } from '../../../lib';
import { temporaryFolder } from '../libtorch/support';

const MAIN = path.resolve(__dirname, '..', '..', '..', 'dist', 'cli', 'main.js');
const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** `tokenlearner run` on a small model; `stdout` is a descriptor to write to. */
function start(more: string[], stdout: number | 'pipe' = 'pipe'): ChildProcess {
  const args = ['run', '--device', 'cpu', '--weights', at('w.safetensors'), '--input', at('x.npy'), ...more];
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', stdout, 'pipe'] });
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
  it.each(['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'])(
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

  it('without a reader ends the command quietly', async () => {
    const child = start(['--output', '/dev/stdout', '--quiet']);
    child.stdout?.destroy();
    expect(await ended(child)).toMatchObject({ code: 0, said: '' });
  });
});

it('a file of its own leaves standard output to the message', async () => {
  const { out, said } = await ended(start(['--output', at('y.npy')]));
  expect(out.toString()).toContain('(1, 6, 4, 4) -> (1, 6, 3)');
  expect(said).toBe('');
});
