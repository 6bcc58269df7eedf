import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { evaluate, installWithPnpm, mustRun, projectFolder, readmeExample } from './support';

const project = projectFolder();

beforeAll(() => {
  installWithPnpm(project);
}, 300_000);

it("runs the README's example", () => {
  writeFileSync(path.join(project, 'example.mjs'), readmeExample());
  expect(mustRun(project, ['example.mjs'])).toContain('Float32Array');
});

it('finds libtorch beside itself, where the project cannot see it', () => {
  expect(existsSync(path.join(project, 'node_modules', '@tokenlearner'))).toBe(false);
  const info = evaluate(project, "console.log(JSON.stringify(require('tokenlearner').runtime.info()))");
  expect(info).toMatchObject({ problem: null, libtorch: { source: 'package' } });
});
