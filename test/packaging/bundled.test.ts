/** Programs whose bundle contains the package, made by esbuild; test/matrix has the other bundlers. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { mustRun, node, type Outcome, projectFolder, root, unpackMain } from './support';

const project = projectFolder();
const elsewhere = path.join(path.dirname(project), 'elsewhere');
const esbuild = path.join(root, 'node_modules', 'esbuild', 'bin', 'esbuild');
const USE = `new TokenLearner({ dim: 8 }).forward(Tensor.ones([1, 8, 4, 4])).then(({ shape }) => console.log(shape.join()));`;

beforeAll(() => {
  unpackMain(project);
  writeFileSync(
    path.join(project, 'app.mjs'),
    `import { TokenLearner, Tensor } from 'tokenlearner';\n${USE}`,
  );
  writeFileSync(
    path.join(project, 'app.cjs'),
    `const { TokenLearner, Tensor } = require('tokenlearner');\n${USE}`,
  );
});

/** Bundles a program and returns the bundle's name. */
function bundle(source: string, format: 'cjs' | 'esm'): string {
  const name = `out/${source}.${format}.${format === 'esm' ? 'mjs' : 'cjs'}`;
  const options = ['--bundle', '--platform=node', '--log-level=error', `--format=${format}`];
  const args = [source, ...options, `--outfile=${name}`];
  // esbuild's own starter script is replaced by its binary where an install script ran.
  const run = `require('node:child_process').execFileSync(${JSON.stringify(esbuild)}, ${JSON.stringify(args)})`;
  mustRun(project, ['--eval', run]);
  return name;
}

/** Runs a bundle where the package is not installed. */
function runElsewhere(name: string): Outcome {
  mkdirSync(path.dirname(path.join(elsewhere, name)), { recursive: true });
  cpSync(path.join(project, name), path.join(elsewhere, name));
  return node(elsewhere, [name]);
}

function expectAdvice({ status, stderr }: Outcome): void {
  expect(status).not.toBe(0);
  expect(stderr).toMatch(
    /TokenLearnerError: A bundle contains the package.*Mark 'tokenlearner' as external/s,
  );
  expect(stderr).toContain("code: 'ERR_BUNDLED'");
}

it.each(['cjs', 'esm'] as const)('of an ES module, in format %s, takes the installed package', (format) => {
  const name = bundle('app.mjs', format);
  expect(mustRun(project, [name])).toBe('1,8,8\n');
  expectAdvice(runElsewhere(name));
});

it.each(['cjs', 'esm'] as const)('of CommonJS, in format %s, gives the advice', (format) => {
  const name = bundle('app.cjs', format);
  expectAdvice(node(project, [name]));
  expectAdvice(runElsewhere(name));
});

it('never loads an addon that lies beside it', () => {
  const name = bundle('app.cjs', 'cjs');
  mkdirSync(path.join(project, 'build', 'Release'), { recursive: true });
  writeFileSync(path.join(project, 'build', 'Release', 'other.node'), 'not of this package');
  writeFileSync(path.join(project, 'package.json'), '{ "name": "project" }');
  expectAdvice(node(project, [name]));
});
