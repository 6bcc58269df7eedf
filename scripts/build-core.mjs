/**
 * Puts the files that every program loads into one, core.js: finding and compiling some sixty files takes twice as long as all else that the
 * import does. Each of them becomes a line that hands out its part of core.js, so a file that is loaded later gets the same classes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { output, SetupError } from './tools.mjs';

const CORE = 'core.js';

/** The compiled files below `folder` that loading its index.js loads, relative to it. */
function loadedFiles(folder) {
  const index = path.join(folder, 'index.js');
  const program = 'require(process.argv[1]); console.log(JSON.stringify(Object.keys(require.cache)))';
  const text = output(process.execPath, ['-e', program, index]);
  if (text === null) throw new SetupError(`${index} cannot be loaded`);
  return JSON.parse(text)
    .filter((file) => file.startsWith(folder + path.sep) && file.endsWith('.js'))
    .map((file) => path.relative(folder, file).replaceAll(path.sep, '/'))
    .filter((file) => !knowsItsFolder(folder, file));
}

/** A file below a folder of lib/ that asks where it is would get another answer. */
function knowsItsFolder(folder, file) {
  return file.includes('/') && readFileSync(path.join(folder, file), 'utf8').includes('__dirname');
}

/** Leaves all other files where they are. */
function onlyFiles(folder, files) {
  const chosen = new Set(files.map((file) => path.join(folder, file)));
  return {
    name: 'only the files that every program loads',
    setup: ({ onResolve }) => {
      onResolve({ filter: /^\./ }, ({ path: name, resolveDir }) => {
        const file = createRequire(path.join(resolveDir, 'x.js')).resolve(name);
        if (chosen.has(file) || file.endsWith('.json')) return { path: file };
        return { path: `./${path.relative(folder, file).replaceAll(path.sep, '/')}`, external: true };
      });
    },
  };
}

/** Writes core.js beside a compiled index.js, and the lines in the place of what it holds. */
export async function writeCore(folder) {
  const { build } = createRequire(import.meta.url)('esbuild');
  const files = loadedFiles(folder);
  // Getters: nothing runs before core.js has said what it holds, since a file outside it may ask for a part of it.
  const parts = files.map((file) => `get '${file}'() { return require('./${file}'); },`);
  await build({
    stdin: { contents: `module.exports = {\n${parts.join('\n')}\n};`, resolveDir: folder },
    outfile: path.join(folder, CORE),
    absWorkingDir: folder,
    bundle: true,
    // Of classes, which errors and printed values show.
    keepNames: true,
    packages: 'external',
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'warning',
    plugins: [onlyFiles(folder, files)],
  });
  for (const file of files) {
    const up = path.posix.relative(path.posix.dirname(file), CORE);
    const from = up.startsWith('.') ? up : `./${up}`;
    writeFileSync(
      path.join(folder, file),
      `"use strict";\nmodule.exports = require("${from}")["${file}"];\n`,
    );
  }
}
