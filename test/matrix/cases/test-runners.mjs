/** Each test runner runs the same test: the tokens, an error's class and code, and the equality of tensors and modules. */
import { bun, demandTokens, exact, node, project, run, tool, versions } from '../support.mjs';

const BODY = `
  tokenlearner.manualSeed(0);
  const model = new tokenlearner.TokenLearner({ dim: 8 });
  const tokens = await model.forward(tokenlearner.Tensor.ones([1, 8, 4, 4]));
  console.log('tokens ' + JSON.stringify(Array.from(tokens.data)));
  let error;
  try { new tokenlearner.TokenLearner({ dim: 0 }); } catch (caught) { error = caught; }
  const isRight = error instanceof tokenlearner.TokenLearnerError && error.code === 'ERR_OUT_OF_RANGE';
  if (!isRight) throw new Error('not the documented error: ' + error);`;
const ESM = `import * as tokenlearner from 'tokenlearner';\n`;
const CJS = `const tokenlearner = require('tokenlearner');\n`;
const EQUAL = `
  expect(tokenlearner.Tensor.ones([2])).toEqual(tokenlearner.Tensor.ones([2]));
  expect(tokenlearner.Tensor.ones([2])).not.toEqual(tokenlearner.Tensor.zeros([2]));
  expect(tokenlearner.Tensor.ones([2])).not.toEqual(tokenlearner.Tensor.ones([2], { dtype: 'float64' }));
  const twin = new tokenlearner.TokenLearner({ dim: 8 });
  expect(twin).not.toEqual(model);
  twin.loadStateDict(model.stateDict());
  expect(twin).toEqual(model);`;

/** A case: the tool's packages, its test files, and its command. Each file must print the tokens. */
function runner(name, { tools, files, args, quick = false, run: start }) {
  return {
    name,
    quick,
    async run() {
      const folder = await project(name, { files, tools });
      const command = start ?? ((where) => node(where, args(where)));
      const { stdout, stderr } = await command(folder);
      await demandTokens(stdout + stderr);
    },
  };
}

const named = (tool) => `${tool} ${versions.packages[tool]}`;
const jestTest = (head) => `${head}test('tokens', async () => {${BODY}${EQUAL}\n});\n`;

export default [
  runner(named('jest'), {
    quick: true,
    tools: exact('jest'),
    files: { 'a.test.js': jestTest(CJS), 'b.test.js': jestTest(CJS), 'jest.config.json': {} },
    args: (folder) => [tool(folder, 'jest/bin/jest.js'), '--runInBand', '--no-watchman'],
  }),
  runner(`${named('jest')}, ES modules`, {
    tools: exact('jest'),
    files: {
      'a.test.mjs': jestTest(ESM),
      'jest.config.json': { testMatch: ['**/*.test.mjs'], transform: {} },
    },
    args: (folder) => [
      '--experimental-vm-modules',
      tool(folder, 'jest/bin/jest.js'),
      '--runInBand',
      '--no-watchman',
    ],
  }),
  ...['forks', 'threads'].map((pool) =>
    runner(`${named('vitest')}, pool ${pool}`, {
      quick: pool === 'forks',
      tools: exact('vitest', 'vite'),
      files: { 'a.test.mjs': `import { expect, test } from 'vitest';\n${jestTest(ESM)}` },
      args: (folder) => [tool(folder, 'vitest/vitest.mjs'), 'run', `--pool=${pool}`],
    }),
  ),
  runner(`node:test of Node ${versions.node}`, {
    quick: true,
    tools: [],
    files: {
      'a.test.mjs': `import test from 'node:test';\nimport assert from 'node:assert';\n${ESM}test('tokens', async () => {${BODY}
  assert.deepStrictEqual(tokenlearner.Tensor.ones([2]), tokenlearner.Tensor.ones([2]));
  assert.notDeepStrictEqual(tokenlearner.Tensor.ones([2]), tokenlearner.Tensor.zeros([2]));\n});\n`,
    },
    args: () => ['--test'],
  }),
  runner(named('mocha'), {
    quick: true,
    tools: exact('mocha'),
    files: { 'a.test.cjs': `${CJS}it('tokens', async () => {${BODY}\n});\n` },
    args: (folder) => [tool(folder, 'mocha/bin/mocha.js'), 'a.test.cjs'],
  }),
  runner(named('ava'), {
    tools: exact('ava'),
    files: {
      'a.test.mjs': `import test from 'ava';\n${ESM}test('tokens', async (t) => {${BODY}\n  t.pass();\n});\n`,
    },
    args: (folder) => [tool(folder, 'ava/entrypoints/cli.mjs'), 'a.test.mjs'],
  }),
  runner(named('jasmine'), {
    tools: exact('jasmine'),
    files: { 'a.spec.mjs': `${ESM}it('tokens', async () => {${BODY}\n  expect(error).toBeDefined();\n});\n` },
    args: (folder) => [tool(folder, 'jasmine/bin/jasmine.js'), 'a.spec.mjs'],
  }),
  runner(named('tap'), {
    tools: exact('tap'),
    files: {
      'a.test.mjs': `import t from 'tap';\n${ESM}t.test('tokens', async (t) => {${BODY}\n  t.pass('tokens');\n});\n`,
    },
    // The command of tap fetches its plugins again: a test of tap is a program.
    args: () => ['a.test.mjs'],
  }),
  runner(`bun test of Bun ${versions.bun}`, {
    tools: [],
    files: { 'a.test.js': `import { expect, test } from 'bun:test';\n${jestTest(ESM)}` },
    run: async (folder) => run(folder, await bun(), ['test']),
  }),
];
