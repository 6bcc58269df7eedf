import { spawnSync } from 'node:child_process';
import path from 'node:path';

const isRoot = process.getuid?.() === 0;

(isRoot ? test : test.skip)(
  'where the system allows no further thread, forward is a typed error, and the process goes on',
  () => {
    const file = path.join(__dirname, 'scripts', 'thread-limit.cjs');
    const limited = 'ulimit -u 1; exec "$0" "$1"';
    const { status, stdout, stderr } = spawnSync('bash', ['-c', limited, process.execPath, file], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      codes: ['ERR_OUT_OF_MEMORY', 'ERR_OUT_OF_MEMORY'],
      tokens: [1, 64, 8],
    });
  },
);
