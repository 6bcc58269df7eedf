/**
 * Writes index.mjs and index.d.mts beside a compiled index.js. The ESM entry hands out what the CommonJS one exports, so
 * that a process which uses both still has one addon, one seed and one set of classes.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SetupError } from './tools.mjs';

export async function writeEsmEntry(folder) {
  const entry = path.join(folder, 'index.js');
  const names = Object.keys(createRequire(import.meta.url)(entry)).sort();
  const invalid = names.filter((name) => !/^[A-Za-z_$][\w$]*$/.test(name) || name === 'default');
  if (names.length === 0 || invalid.length > 0) {
    throw new SetupError(`Expected named exports in ${entry} but found [${invalid.join(', ')}]`);
  }
  const list = names.map((name) => `  ${name},\n`).join('');
  writeFileSync(
    path.join(folder, 'index.mjs'),
    `import commonjs from './index.js';\n\nexport const {\n${list}} = commonjs;\n`,
  );
  writeFileSync(path.join(folder, 'index.d.mts'), `export * from './index.js';\n`);
}
