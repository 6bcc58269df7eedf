import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import path from 'node:path';
import { ignoreClosedPipes, isClosedPipe } from '../../../lib/cli/closed-pipe';
import { TokenLearnerError } from '../../../lib/errors';

const MAIN = path.resolve(__dirname, '..', '..', '..', 'dist', 'cli', 'main.js');
const closed = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });

it('knows the error, also as the cause of another', () => {
  const wrapped = new TokenLearnerError('ERR_FILE_IO', 'x: cannot be written: EPIPE', { cause: closed });
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  expect([closed, wrapped].map(isClosedPipe)).toEqual([true, true]);
  expect(
    [full, new TokenLearnerError('ERR_FILE_IO', 'x', { cause: full }), undefined, 'EPIPE'].map(isClosedPipe),
  ).toEqual(Array(4).fill(false));
});

it('any other failure to write is reported and fails the command', () => {
  const stream = new EventEmitter();
  const said = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const before = process.exitCode;
  ignoreClosedPipes([stream]);
  stream.emit('error', closed);
  expect([process.exitCode, said.mock.calls.length]).toEqual([before, 0]);
  stream.emit('error', new Error('ENOSPC: no space left'));
  const [code, calls] = [process.exitCode, said.mock.calls];
  process.exitCode = before;
  said.mockRestore();
  expect(code).toBe(1);
  expect(calls).toEqual([
    ['tokenlearner: standard output: cannot be written: ENOSPC: no space left [ERR_FILE_IO]\n'],
  ]);
});

/** The end of a command whose standard output, or error, has no reader. */
function unread(args: string[], stream: 'stdout' | 'stderr'): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child[stream].destroy();
  let said = '';
  child[stream === 'stdout' ? 'stderr' : 'stdout']
    .setEncoding('utf8')
    .on('data', (text: string) => (said += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, said });
    });
  });
}

it.each([[['info']], [['info', '--json']], [['runtime', 'list']], [['--help']], [['run', '--help']]])(
  '%j into a closed pipe ends quietly',
  async (args) => {
    expect(await unread(args, 'stdout')).toEqual({ code: 0, said: '' });
  },
);

it('a command that fails keeps its exit code', async () => {
  expect(await unread(['nonsense'], 'stderr')).toEqual({ code: 2, said: '' });
  expect(await unread(['runtime', 'remove', '--dir', __dirname], 'stderr')).toEqual({ code: 1, said: '' });
});
