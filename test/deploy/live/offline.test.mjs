/** deploy/ray/offline.py: many files in several tasks. `npm run test:deploy -- offline`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, it } from 'node:test';
import { root } from './services.mjs';

const { loadNpy, saveNpy, saveSafetensors, Tensor, TokenLearner } = createRequire(import.meta.url)(
  'tokenlearner',
);

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-offline-'));
after(() => rmSync(folder, { recursive: true }));

/** Runs the script over the inputs, seven files a task. */
function run() {
  const script = path.join(root, 'deploy', 'ray', 'offline.py');
  const args = ['--address', 'local', '--app-dir', root, '--weights', 'w.safetensors', '--input', 'in/*.npy'];
  return spawnSync(
    process.env.TEST_RAY,
    [script, ...args, '--output-dir', 'out', '--files-per-task', '7', '--cpus', '1'],
    {
      cwd: folder,
      encoding: 'utf8',
      timeout: 300_000,
      env: { ...process.env, RAY_USAGE_STATS_ENABLED: '0' },
    },
  );
}

it('spreads files over tasks; a file that fails is named, and the others are done', async () => {
  const model = new TokenLearner({ dim: 4, numOutputTokens: 2, device: 'cpu' });
  await saveSafetensors(path.join(folder, 'w.safetensors'), model.stateDict());
  for (const name of ['in', 'out']) mkdirSync(path.join(folder, name));
  const inputs = Array.from({ length: 20 }, (_, i) => Tensor.randn([1, 4, 3 + (i % 3), 4]));
  for (const [i, x] of inputs.entries()) await saveNpy(path.join(folder, 'in', `${i}.npy`), x);
  await saveNpy(path.join(folder, 'in', 'bad.npy'), Tensor.randn([1, 5, 4, 4]));
  const { status, stdout, stderr } = run();
  assert.equal(status, 1, stderr);
  assert.match(stdout, /^21 files in 3 tasks, 1 of them with failures$/m);
  assert.match(stderr, new RegExp(`${folder}/in/bad\\.npy: .*ERR_SHAPE_MISMATCH`));
  assert.equal(readdirSync(path.join(folder, 'out')).length, inputs.length);
  for (const [i, x] of inputs.entries())
    assert.ok((await loadNpy(path.join(folder, 'out', `${i}.npy`))).equals(model.forwardSync(x)), `${i}.npy`);
});
