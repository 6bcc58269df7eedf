import { nodeFileTrace } from '@vercel/nft';
import { cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { evaluate, installWithNpm, mustRun, projectFolder, readmeExample, root } from './support';

const project = projectFolder();
const write = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(project, name)), { recursive: true });
  writeFileSync(path.join(project, name), text);
};
const FORWARD = `const { TokenLearner, Tensor } = require('tokenlearner');
  const tokens = new TokenLearner({ dim: 8 }).forwardSync(Tensor.ones([1, 8, 4, 4]));
  console.log(JSON.stringify(tokens.shape));`;

beforeAll(() => {
  installWithNpm(project);
}, 300_000);

it("runs the README's example without network, compiler or Python", () => {
  write('example.mjs', readmeExample());
  expect(mustRun(project, ['example.mjs'])).toContain('Float32Array');
  write('example.cjs', readmeExample('first.cjs'));
  expect(mustRun(project, ['example.cjs'])).toContain('Float32Array');
});

it('takes libtorch from its npm package', () => {
  const info = evaluate(project, "console.log(JSON.stringify(require('tokenlearner').runtime.info()))");
  expect(info).toMatchObject({
    problem: null,
    libtorch: { state: 'found', source: 'package' },
    devices: [{ device: 'cpu' }],
  });
});

it('gives ESM and CommonJS the same classes', () => {
  write(
    'both.mjs',
    `import { createRequire } from 'node:module';
     import * as esm from 'tokenlearner';
     const cjs = createRequire(import.meta.url)('tokenlearner');
     const same = Object.keys(cjs).filter((name) => esm[name] === cjs[name]);
     console.log(JSON.stringify([same.length > 10, same.length === Object.keys(cjs).length]));`,
  );
  expect(JSON.parse(mustRun(project, ['both.mjs']))).toEqual([true, true]);
});

it('loads no native code when it is imported', () => {
  const script = `require('tokenlearner');
    const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
    console.log(JSON.stringify(['tokenlearner.glibc.node', 'libtorch'].filter((name) => maps.includes(name))));`;
  expect(evaluate(project, script)).toEqual([]);
});

it('has types for ESM and CommonJS under the strictest settings', () => {
  const use = `import { Linear, Module, Sequential, TokenLearner, Tensor, type Device, type FloatDType } from 'tokenlearner';
    const tokens = await new TokenLearner({ dim: 8 }).forward(Tensor.zeros([1, 8, 2, 2]));
    export const data: Float32Array = tokens.data;
    export const device: Device = 'cpu';
    // @ts-expect-error dim is required
    new TokenLearner({});
    class Net extends Module {
      readonly backbone = new TokenLearner({ dim: 8 });
      readonly #head: Linear;
      constructor() {
        super();
        this.#head = this.registerModule('head', new Linear(8, 2));
      }
      override async forward(x: Tensor, mask?: Tensor): Promise<{ y: Tensor; mask: Tensor | undefined }> {
        return { y: await this.#head.forward(await this.backbone.forward(x)), mask };
      }
    }
    class Twice extends TokenLearner {
      override async forward<D extends FloatDType>(x: Tensor<D>): Promise<any> {
        return super.forward(await super.forward(x));
      }
    }
    class Named extends Linear {
      override async forward<D extends FloatDType>(x: Tensor<D>): Promise<Tensor<D>> {
        return super.forward(x);
      }
    }
    const net = new Net().half().eval();
    export const y: Promise<{ y: Tensor }> = net.forward(Tensor.zeros([1, 8, 2, 2]));
    export const model: Sequential = new Sequential(net, new Twice({ dim: 8 }), new Named(1, 2));
    export const head: [string, Module] | undefined = net.namedChildren()[0];
    // @ts-expect-error not a dtype
    net.to('cpu', 'int32');
    // @ts-expect-error not a module
    new Sequential({});`;
  write('use.mts', use);
  write('use.cts', use.replace('await ', 'async () => await ').replace(/export const data.*/, ''));
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc6');
  const types = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules', '@types')];
  const strict = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--noImplicitOverride',
    '--target',
    'es2022',
    '--lib',
    'es2022,esnext.disposable',
  ];
  mustRun(project, [compiler, ...strict, ...types, '--module', 'node16', 'use.mts', 'use.cts']);
});

it('has a command that finds everything well', () => {
  const cli = path.join('node_modules', 'tokenlearner', 'dist', 'cli', 'main.js');
  const report = JSON.parse(mustRun(project, [cli, 'doctor', '--json'])) as {
    findings: { name: string; status: string }[];
  };
  expect(report).toMatchObject({ ok: true, probe: { crash: null } });
  const tests = report.findings.filter(({ name }) => name.startsWith('self-test'));
  expect(tests.map(({ status }) => status)).toEqual(['ok', 'ok']);
  expect(mustRun(project, [cli, 'runtime', 'path'])).toContain(path.join('@tokenlearner', 'libtorch-cpu-'));
  expect(statSync(path.join(project, 'node_modules', '.bin', 'tokenlearner')).mode & 0o111).not.toBe(0);
});

it('is found by file tracers, with the addon and the libraries', async () => {
  write('traced.mjs', readmeExample());
  const { fileList } = await nodeFileTrace([path.join(project, 'traced.mjs')], { base: project });
  const files = [...fileList].map((file) => file.split(path.sep).join('/'));
  expect(files).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/tokenlearner\/prebuilds\/[\w-]+\/tokenlearner\.glibc\.node$/),
      expect.stringMatching(/libtorch-cpu-[\w-]+\/lib\/libtorch_cpu\.so$/),
      expect.stringMatching(/libtorch-cpu-[\w-]+\/lib\/libgomp\.so\.1$/),
      expect.stringMatching(/libtorch-cpu-[\w-]+\/runtime\.json$/),
      expect.stringMatching(/tokenlearner\/dist\/formats\/checkpoint\.js$/),
    ]),
  );
  // The traced files alone are a deployment.
  const deployed = path.join(path.dirname(project), 'deployed');
  for (const file of fileList) {
    mkdirSync(path.dirname(path.join(deployed, file)), { recursive: true });
    cpSync(path.join(project, file), path.join(deployed, file), { verbatimSymlinks: true });
  }
  expect(mustRun(deployed, ['traced.mjs'])).toContain('Float32Array');
  expect(evaluate(deployed, FORWARD.replace('dim: 8', "dim: 8, engine: 'grouped-conv'"))).toEqual([1, 8, 8]);
});

it('works in worker threads', () => {
  const script = `const { Worker } = require('node:worker_threads');
    const code = ${JSON.stringify(FORWARD.replace('console.log(JSON.stringify(tokens.shape))', "require('node:worker_threads').parentPort.postMessage(tokens.shape)"))};
    Promise.all([1, 2, 3].map(() => new Promise((resolve, reject) => {
      new Worker(code, { eval: true }).once('message', resolve).once('error', reject);
    }))).then((all) => console.log(JSON.stringify(all)));`;
  expect(evaluate(project, script)).toEqual(Array(3).fill([1, 8, 8]));
});

it('writes nothing into node_modules', () => {
  const snapshot = () =>
    readdirSync(path.join(project, 'node_modules'), { recursive: true, encoding: 'utf8' })
      .map((name) => `${name} ${statSync(path.join(project, 'node_modules', name)).mtimeMs}`)
      .sort();
  const before = snapshot();
  mustRun(project, ['--eval', FORWARD]);
  expect(snapshot()).toEqual(before);
});

it('works from a bundle that leaves it out', () => {
  write(
    'server.ts',
    FORWARD.replace('const {', 'import {').replace("} = require('tokenlearner')", "} from 'tokenlearner'"),
  );
  const esbuild = path.join(root, 'node_modules', 'esbuild', 'bin', 'esbuild');
  for (const [format, out] of [
    ['esm', 'out/server.mjs'],
    ['cjs', 'out/server.cjs'],
  ] as const) {
    const options = [
      '--bundle',
      '--platform=node',
      `--format=${format}`,
      '--external:tokenlearner',
      `--outfile=${out}`,
    ];
    // esbuild's own starter script is replaced by its binary where an install script ran.
    mustRun(project, [
      '--eval',
      `require('node:child_process').execFileSync(${JSON.stringify(esbuild)}, ['server.ts', ...${JSON.stringify(options)}])`,
    ]);
    expect(JSON.parse(mustRun(project, [out]))).toEqual([1, 8, 8]);
  }
});

it("works in users' jest tests", () => {
  const test = `const { TokenLearner, Tensor } = require('tokenlearner');
    test('shapes', async () => {
      const tokens = await new TokenLearner({ dim: 8 }).forward(Tensor.ones([2, 8, 4, 4]));
      expect(tokens.shape).toEqual([2, 8, 8]);
      expect(() => new TokenLearner({ dim: 0 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    });`;
  // Each file has a registry of modules of its own, in one process.
  for (const name of ['a.test.js', 'b.test.js']) write(name, test);
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  mustRun(project, [jest, '--rootDir', project, '--runInBand', '--no-watchman', '--config', '{}']);
});
