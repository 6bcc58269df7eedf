/**
 * Puts the files that every program loads into one, core.js: finding and compiling some sixty files takes twice as long as all else that the
 * import does. Each of them becomes a line that hands out its part of core.js, so a file that is loaded later gets the same classes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { output, SetupError } from './tools.mjs';

const CORE = 'core.js';

/** Runs each part once, when it is first asked for, as Node runs a file. */
const HEAD = `"use strict";
const modules = new Map();
function part(name) {
  let module = modules.get(name);
  if (module === undefined) {
    modules.set(name, (module = { exports: {} }));
    try {
      parts[name].call(module.exports, module, module.exports);
    } catch (error) {
      modules.delete(name);
      throw error;
    }
  }
  return module.exports;
}
module.exports = part;
const parts = {
`;

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

const REQUIRE = /\brequire\((["'])(\.\.?\/[^"']+)\1\)/g;

/** A file's text as a function's: what core.js holds is asked there, what it does not is loaded from where it lies. */
async function partOf(folder, file, held) {
  const { transform } = createRequire(import.meta.url)('esbuild');
  const full = path.join(folder, file);
  // Without the comments. Not esbuild's bundle: that renames classes, or gives every closure its name again each time it is made.
  const { code } = await transform(readFileSync(full, 'utf8'), { platform: 'node', target: 'node20' });
  const { resolve } = createRequire(full);
  const text = code.replace(REQUIRE, (_, quote, name) => {
    const found = path.relative(folder, resolve(name)).replaceAll(path.sep, '/');
    if (found.endsWith('.json')) return `(${readFileSync(path.join(folder, found), 'utf8').trim()})`;
    return held.has(found) ? `part("${found}")` : `require("./${found}")`;
  });
  return `"${file}"(module, exports) {\n${text}}`;
}

/** Writes core.js beside a compiled index.js, and the lines in the place of what it holds. */
export async function writeCore(folder) {
  const files = loadedFiles(folder);
  const held = new Set(files);
  const parts = await Promise.all(files.map((file) => partOf(folder, file, held)));
  writeFileSync(path.join(folder, CORE), `${HEAD}${parts.join(',\n')}\n};\n`);
  for (const file of files) {
    const up = path.posix.relative(path.posix.dirname(file), CORE);
    const from = up.startsWith('.') ? up : `./${up}`;
    writeFileSync(
      path.join(folder, file),
      `"use strict";\nmodule.exports = require("${from}")("${file}");\n`,
    );
  }
}
