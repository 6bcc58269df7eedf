/**
 * Each bundler makes a program, with the package external and bundled, of ES modules and of CommonJS, in both output formats. External it
 * runs. Bundled it runs where the package is installed beside it, or ends with ERR_BUNDLED; elsewhere it always ends with that.
 */
import { cpSync, renameSync } from 'node:fs';
import path from 'node:path';
import {
  bun,
  demandTokens,
  exact,
  IMPORT,
  newFolder,
  node,
  project,
  REQUIRE,
  run,
  tool,
  USE,
  versions,
  write,
} from '../support.mjs';

const SOURCES = ['app.mjs', 'app.cjs'];
const FORMATS = ['cjs', 'esm'];
const extension = (format) => (format === 'esm' ? 'mjs' : 'cjs');

/** webpack.config.cjs for one combination. */
function webpackConfig({ source, format, external, out }) {
  const esm = { experiments: { outputModule: true } };
  const module = { module: true, chunkFormat: 'module', library: { type: 'module' } };
  const config = {
    mode: 'production',
    target: 'node',
    entry: `./${source}`,
    // Node shows the line that threw, and loses the rest of a text that is longer than a pipe.
    optimization: { minimize: false },
    output: { filename: `bundle.${extension(format)}`, ...(format === 'esm' && module) },
    ...(format === 'esm' && esm),
    ...(external && { externals: { tokenlearner: 'node-commonjs tokenlearner' } }),
  };
  return `const webpack = require('webpack');
const config = ${JSON.stringify(config)};
config.output.path = require('node:path').join(__dirname, ${JSON.stringify(out)});
webpack(config, (error, stats) => {
  if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
});\n`;
}

const rollupBuild =
  (plugins) =>
  ({ source, format, external, out }) =>
    `import { rollup } from 'rollup';
${plugins.map((name) => `import ${name} from '@rollup/plugin-${name === 'resolve' ? 'node-resolve' : name}';`).join('\n')}
const plugins = [${plugins.map((name) => (name === 'resolve' ? "resolve({ preferBuiltins: true, exportConditions: ['node'] })" : `${name}()`)).join(', ')}];
const bundle = await rollup({ input: '${source}', plugins, external: ${external ? "['tokenlearner']" : '[]'} });
await bundle.write({ dir: '${out}', format: '${format}', entryFileNames: 'bundle.${extension(format)}' });\n`;

const viteBuild = ({ source, format, external, out }) =>
  `import { build } from 'vite';
const output = { format: '${format}', entryFileNames: 'bundle.${extension(format)}' };
await build({
  configFile: false,
  logLevel: 'warn',
  build: { ssr: '${source}', outDir: '${out}', emptyOutDir: false, rollupOptions: { output } },
  ssr: ${external ? "{ external: ['tokenlearner'] }" : '{ noExternal: true }'},
});\n`;

const rolldownBuild = ({ source, format, external, out }) =>
  `import { rolldown } from 'rolldown';
const bundle = await rolldown({ input: '${source}', platform: 'node', external: ${external ? "['tokenlearner']" : '[]'} });
await bundle.write({ dir: '${out}', format: '${format}', entryFileNames: 'bundle.${extension(format)}' });\n`;

/** A build that is a script of the project. */
const script = (text, name) => async (folder, what) => {
  const file = `build-${what.out.replace('/', '-')}.${name}`;
  write(folder, { [file]: text(what) });
  await node(folder, [file]);
};

async function esbuild(folder, { source, format, external, out }) {
  const options = ['--bundle', '--platform=node', '--log-level=error', `--format=${format}`];
  const file = `--outfile=${out}/bundle.${extension(format)}`;
  const binary = tool(folder, `@esbuild/${process.platform}-${process.arch}/bin/esbuild`);
  await run(folder, binary, [source, ...options, file, ...(external ? ['--external:tokenlearner'] : [])]);
}

async function ncc(folder, { source, external, out }) {
  const options = external ? ['--external', 'tokenlearner'] : [];
  await node(folder, [tool(folder, '@vercel/ncc/dist/ncc/cli.js'), 'build', source, '-o', out, ...options]);
}

async function bunBuild(folder, { source, format, external, out }) {
  const file = `--outfile=${out}/bundle.${extension(format)}`;
  const options = [
    '--target=node',
    `--format=${format}`,
    ...(external ? ['--external', 'tokenlearner'] : []),
  ];
  await run(folder, await bun(), ['build', source, file, ...options]);
}

/** How one bundle ends: 'runs', or 'advice' for ERR_BUNDLED. Throws for any other end. */
async function ending(folder, file) {
  const { status, stdout, stderr } = await node(folder, [file], { allowFailure: true });
  if (status !== 0 && /TokenLearnerError\]?: A bundle contains/.test(stderr)) return 'advice';
  if (status !== 0) throw new Error(`${file} in ${folder} ended with ${status}\n${stdout}\n${stderr}`);
  await demandTokens(stdout);
  return 'runs';
}

/** Runs `use` while a project lacks the package: some bundles have the paths of the machine that made them. */
async function without(folder, use) {
  const [installed, hidden] = [tool(folder, 'tokenlearner'), path.join(folder, 'hidden')];
  renameSync(installed, hidden);
  try {
    return await use();
  } finally {
    renameSync(hidden, installed);
  }
}

async function checkOne(folder, build, what) {
  await build(folder, what);
  const name = what.file ?? `bundle.${extension(what.format)}`;
  const beside = await ending(folder, path.join(what.out, name));
  if (what.external) {
    if (beside !== 'runs') throw new Error(`External, and still ${beside}`);
    return beside;
  }
  const far = newFolder('elsewhere');
  cpSync(path.join(folder, what.out), far, { recursive: true });
  const elsewhere = await without(folder, () => ending(far, name));
  if (elsewhere !== 'advice') throw new Error(`Without the package, a bundle ${elsewhere}`);
  return beside;
}

/** Where the tool has no external CommonJS in this format: it writes a call of a `require` that ES modules lack. */
const LACKS = { esbuild: ['external app.cjs esm'] };

function combinations(onlyFormat) {
  const all = [true, false].flatMap((external) =>
    SOURCES.flatMap((source) => FORMATS.map((format) => ({ external, source, format }))),
  );
  return all.filter(({ source, format }) => !onlyFormat || format === onlyFormat(source));
}

function bundler(
  tool,
  { packages, build, quick = false, version, onlyFormat, sources = SOURCES, note = '' },
) {
  return {
    name: `${tool} ${version ?? versions.packages[packages[0]]}${note}`,
    quick,
    async run() {
      const files = { 'app.mjs': IMPORT + USE, 'app.cjs': REQUIRE + USE };
      const folder = await project(tool, { files, tools: exact(...packages) });
      const details = [];
      for (const what of combinations(onlyFormat)) {
        const { external, source, format } = what;
        const name = `${external ? 'external' : 'bundled'} ${source} ${format}`;
        if (!sources.includes(source) || LACKS[tool]?.includes(name)) continue;
        const file = onlyFormat ? `index.${extension(format)}` : undefined;
        const result = await checkOne(folder, build, {
          ...what,
          file,
          out: `out/${name.replaceAll(/\W/g, '-')}`,
        });
        if (!external) details.push(`${source} as ${format}: ${result}`);
      }
      return `external runs; bundled: ${details.join(', ')}`;
    },
  };
}

const ROLLUP = ['rollup', '@rollup/plugin-node-resolve', '@rollup/plugin-commonjs', '@rollup/plugin-json'];

export default [
  bundler('esbuild', { packages: ['esbuild'], build: esbuild, quick: true }),
  bundler('webpack', { packages: ['webpack'], build: script(webpackConfig, 'cjs'), quick: true }),
  bundler('rollup', {
    packages: ROLLUP,
    build: script(rollupBuild(['resolve', 'commonjs', 'json']), 'mjs'),
    quick: true,
  }),
  bundler('rollup', {
    packages: ROLLUP,
    build: script(rollupBuild(['resolve']), 'mjs'),
    sources: ['app.mjs'],
    note: ' without plugin-commonjs',
  }),
  bundler('vite ssr', { packages: ['vite'], build: script(viteBuild, 'mjs'), quick: true }),
  bundler('rolldown', { packages: ['rolldown'], build: script(rolldownBuild, 'mjs') }),
  bundler('ncc', {
    packages: ['@vercel/ncc'],
    build: ncc,
    onlyFormat: (source) => (source === 'app.mjs' ? 'esm' : 'cjs'),
  }),
  bundler('bun build', { packages: [], version: versions.bun, build: bunBuild }),
];
