import { execFileSync } from 'node:child_process';
import path from 'node:path';

const dist = path.resolve(__dirname, '..', '..', 'dist');

/** The JSON that a program in a fresh process writes. `dist` is the compiled package there. */
function evaluate(program: string): unknown {
  const text = `const dist = process.argv[1]; ${program}`;
  return JSON.parse(execFileSync(process.execPath, ['-e', text, dist], { encoding: 'utf8' }));
}

it('is all that an import loads of lib/, but for a file that knows its folder', () => {
  const loaded = evaluate(`
    const { TokenLearner } = require(dist);
    console.log(JSON.stringify(Object.keys(require.cache).filter((file) => file.startsWith(dist))));`);
  const names = (loaded as string[]).map((file) => path.relative(dist, file).replaceAll(path.sep, '/'));
  expect(names).toEqual(expect.arrayContaining(['index.js', 'core.js']));
  expect(names.length).toBeLessThan(8);
});

it('has one copy of each class, also for files that are loaded later', () => {
  const same = evaluate(`
    const { Tensor, TokenLearnerError, loadNpy, saveNpy } = require(dist);
    const own = [
      require(dist + '/errors.js').TokenLearnerError === TokenLearnerError,
      require(dist + '/tensor/tensor.js').Tensor === Tensor,
    ];
    const file = require('node:path').join(require('node:os').tmpdir(), 'tokenlearner-core-' + process.pid + '.npy');
    (async () => {
      await saveNpy(file, Tensor.zeros([2]));
      own.push((await loadNpy(file)) instanceof Tensor);
      require('node:fs').rmSync(file);
      await loadNpy(file).catch((error) => own.push(error instanceof TokenLearnerError));
      console.log(JSON.stringify(own));
    })();`);
  expect(same).toEqual([true, true, true, true]);
});

it('keeps the names of classes', () => {
  const names = evaluate(`
    const all = Object.entries(require(dist)).filter(([, value]) => typeof value === 'function');
    console.log(JSON.stringify(all.filter(([name, value]) => value.name !== name).map(([name]) => name)));`);
  expect(names).toEqual([]);
});
