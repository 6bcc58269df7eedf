/** Each package manager installs the main package, with libtorch as its optional dependency; both kinds of engine run. */
import path from 'node:path';
import {
  bun,
  demandTokens,
  fromNpm,
  IMPORT,
  libtorchPackage,
  mainPackage,
  newFolder,
  node,
  run,
  toolNode,
  USE,
  versions,
  write,
} from '../support.mjs';

const LIBTORCH = '@tokenlearner/libtorch-cpu-linux-x64';
const CHECK = `${IMPORT.replace(' }', ', runtime }')}${USE}
new TokenLearner({ dim: 8, engine: 'grouped-conv' }).forwardSync(Tensor.ones([1, 8, 2, 2]));
console.log('libtorch ' + runtime.info().libtorch.source);
`;

/** A project that depends on the packed packages: `override` is the manager's way to name a file in place of the registry's package. */
function installed(name, override) {
  const dependencies = { tokenlearner: `file:${mainPackage()}` };
  const manifest = { name: 'project', private: true, dependencies, ...override(`file:${libtorchPackage()}`) };
  return write(newFolder(name), { 'package.json': manifest, 'app.mjs': CHECK });
}

async function check({ stdout }) {
  await demandTokens(stdout);
  if (!stdout.includes('libtorch package')) throw new Error(`libtorch is not of the package:\n${stdout}`);
}

const npmCase = (version) => ({
  name: `npm ${version}`,
  quick: version === versions.npm[0],
  async run() {
    const npm = await fromNpm(`npm@${version}`, 'npm/bin/npm-cli.js');
    const folder = installed(`npm ${version}`, (file) => ({ overrides: { [LIBTORCH]: file } }));
    await node(folder, [npm, 'install', '--no-audit', '--no-fund'], { seconds: 600 });
    await check(await node(folder, ['app.mjs']));
  },
});

const yarnModern = (linker) => ({
  name: `yarn ${versions.yarn}, nodeLinker ${linker}`,
  async run() {
    const yarn = await fromNpm(`@yarnpkg/cli-dist@${versions.yarn}`, '@yarnpkg/cli-dist/bin/yarn.js');
    const folder = installed('yarn', (file) => ({ resolutions: { [LIBTORCH]: file } }));
    write(folder, {
      '.yarnrc.yml': `nodeLinker: ${linker}\npnpEnableEsmLoader: true\nenableTelemetry: false\n`,
      'yarn.lock': '',
    });
    const env = { YARN_ENABLE_GLOBAL_CACHE: 'false', YARN_GLOBAL_FOLDER: path.join(folder, '.global') };
    await node(folder, [yarn, 'install', '--mode=skip-build'], { seconds: 600, env });
    await check(await node(folder, [yarn, 'node', 'app.mjs'], { env }));
  },
});

export default [
  ...versions.npm.map(npmCase),
  {
    name: `pnpm ${versions.pnpm}`,
    async run() {
      const pnpm = await fromNpm(`pnpm@${versions.pnpm}`, 'pnpm/bin/pnpm.mjs');
      const folder = installed('pnpm', () => ({}));
      const overrides = `overrides:\n  '${LIBTORCH}': file:${libtorchPackage()}\n`;
      write(folder, { 'pnpm-workspace.yaml': overrides });
      const store = ['--store-dir', path.join(folder, '.store')];
      await node(folder, [pnpm, 'install', '--ignore-scripts', ...store], { seconds: 600 });
      await check(await node(folder, ['app.mjs']));
    },
  },
  {
    name: `yarn ${versions.yarn1}`,
    async run() {
      const yarn = await fromNpm(`yarn@${versions.yarn1}`, 'yarn/bin/yarn.js');
      const folder = installed('yarn 1', (file) => ({ resolutions: { [LIBTORCH]: file } }));
      const cache = ['--cache-folder', path.join(folder, '.cache')];
      await node(folder, [yarn, 'install', '--non-interactive', '--ignore-scripts', ...cache], {
        seconds: 600,
      });
      await check(await node(folder, ['app.mjs']));
    },
  },
  yarnModern('node-modules'),
  yarnModern('pnp'),
  {
    name: `bun ${versions.bun} install`,
    async run() {
      const program = await bun();
      const folder = installed('bun', (file) => ({ overrides: { [LIBTORCH]: file } }));
      await run(folder, program, ['install', '--cache-dir', path.join(folder, '.cache')], { seconds: 600 });
      await check(await run(folder, toolNode(), ['app.mjs']));
    },
  },
];
