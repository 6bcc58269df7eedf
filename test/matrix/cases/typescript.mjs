/**
 * Each version of TypeScript compiles a strict consumer, in the three modes of module resolution, with the declarations of libraries
 * checked (skipLibCheck false), with @types/node and without.
 */
import { compareVersions } from '../../../scripts/tools.mjs';
import { node, project, tool, versions, write } from '../support.mjs';

const CONSUMER = `import { Linear, manualSeed, Module, Sequential, Tensor, TokenLearner, TokenLearnerError, runtime, type Device } from 'tokenlearner';
manualSeed(0);
const model = new TokenLearner({ dim: 8 });
export const tokens: Promise<Tensor> = model.forward(Tensor.zeros([1, 8, 2, 2]));
export const data: Promise<Float32Array> = tokens.then(({ data }) => data as Float32Array);
export const device: Device = 'cpu';
export const head: Module = new Sequential(model, new Linear(8, 2));
export const code = (error: unknown): string => (error instanceof TokenLearnerError ? error.code : '');
export const version: string = runtime.info().version;
// @ts-expect-error dim is required
new TokenLearner({});
`;
const MODES = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
};
/** `Symbol.dispose` is in this library from 5.2 on. */
const lib = (version) =>
  compareVersions(version, '5.2.0') < 0 ? ['es2022'] : ['es2022', 'esnext.disposable'];

const typesCase = (version, withNode) => ({
  name: `TypeScript ${version} ${withNode ? 'with' : 'without'} @types/node`,
  quick: ['5.1.6', '5.9.3', '7.0.2'].includes(version),
  async run() {
    const tools = [`typescript@${version}`, ...(withNode ? [`@types/node@${versions['@types/node']}`] : [])];
    const folder = await project('typescript', { tools });
    const errors = [];
    for (const [mode, options] of Object.entries(MODES)) {
      const compilerOptions = {
        ...options,
        noEmit: true,
        strict: true,
        skipLibCheck: false,
        target: 'es2022',
        lib: lib(version),
        types: withNode ? ['node'] : [],
      };
      const config = `tsconfig.${mode}.json`;
      write(folder, {
        [config]: { compilerOptions, files: ['use.mts', 'use.cts'] },
        'use.mts': CONSUMER,
        'use.cts': CONSUMER,
      });
      const compiler = tool(folder, 'typescript/bin/tsc');
      const { status, stdout } = await node(folder, [compiler, '-p', config], { allowFailure: true });
      if (status !== 0) errors.push(`${mode}: ${stdout}`);
    }
    if (errors.length > 0) throw new Error(errors.join('\n'));
  },
});

export default versions.typescript.flatMap((version) => [
  typesCase(version, true),
  typesCase(version, false),
]);
