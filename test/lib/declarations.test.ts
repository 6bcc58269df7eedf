/** The types of the package, as consumers with different settings compile them, with nothing skipped. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');
const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc6');
const USE = `import { Linear, loadWeights, Module, runtime, Sequential, Tensor, TokenLearner, TokenLearnerError } from 'tokenlearner';
export class Net extends Module {
  readonly head = new Linear(8, 2);
  override async forward(x: Tensor): Promise<Tensor> {
    return this.head.forward(x);
  }
}
export async function run(): Promise<number> {
  const model = new Sequential(new TokenLearner({ dim: 8 }), new Net());
  try {
    model.loadStateDict(await loadWeights(new Uint8Array(8)));
    const data: Float32Array = (await model.forward(Tensor.zeros([1, 8, 2, 2]))).data;
    return data.length + runtime.info().threads;
  } catch (error) {
    if (error instanceof TokenLearnerError && error.code === 'ERR_FILE_FORMAT') return 0;
    throw error;
  } finally {
    model[Symbol.dispose]();
  }
}
`;

let project: string;

beforeAll(() => {
  project = mkdtempSync(path.join(tmpdir(), 'tokenlearner-types-'));
  const installed = path.join(project, 'node_modules', 'tokenlearner');
  mkdirSync(installed, { recursive: true });
  cpSync(path.join(root, 'package.json'), path.join(installed, 'package.json'));
  cpSync(path.join(root, 'dist'), path.join(installed, 'dist'), { recursive: true });
  cpSync(path.join(root, 'node_modules', '@types'), path.join(project, 'node_modules', '@types'), {
    recursive: true,
    dereference: true,
  });
  cpSync(
    path.join(root, 'node_modules', 'undici-types'),
    path.join(project, 'node_modules', 'undici-types'),
    {
      recursive: true,
    },
  );
  for (const name of ['use.mts', 'use.cts', 'use.ts']) writeFileSync(path.join(project, name), USE);
});

afterAll(() => {
  rmSync(project, { recursive: true, force: true });
});

/** What the compiler prints for these settings. */
function compile(options: Record<string, unknown>): string {
  const files = options.module === 'node16' ? ['use.mts', 'use.cts'] : ['use.ts'];
  const compilerOptions = {
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    target: 'es2022',
    ...options,
  };
  writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  return spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' }).stdout;
}

test.each<[string, Record<string, unknown>]>([
  ['the oldest library', { module: 'node16', lib: ['es2020'], types: [] }],
  ['the default library', { module: 'node16', types: [] }],
  [
    'a bundler, and a browser’s types',
    { module: 'es2022', moduleResolution: 'bundler', lib: ['es2022', 'dom'], types: [] },
  ],
  ['the newest library', { module: 'node16', lib: ['esnext', 'dom'], types: [] }],
  ['Node’s types', { module: 'node16', lib: ['es2022'], types: ['node'] }],
  ['Node’s and a browser’s types', { module: 'node16', lib: ['esnext', 'dom'], types: ['node'] }],
])('compiles with %s, and with nothing skipped', (_, options) => {
  expect(compile(options)).toBe('');
});

test('the compiler reads the declarations of the package', () => {
  writeFileSync(path.join(project, 'use.ts'), USE.replace('x: Tensor)', "x: Tensor<'int32'>)"));
  expect(compile({ module: 'es2022', moduleResolution: 'bundler', types: [] })).toContain('TS2345');
  expect(readFileSync(path.join(root, 'dist', 'index.d.ts'), 'utf8')).not.toContain('node:');
});
