/**
 * Writes index.mjs and index.d.mts beside a compiled index.js. The ESM entry hands out what the CommonJS one exports, so
 * that a process which uses both still has one addon, one seed and one set of classes.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SetupError } from './tools.mjs';

const TYPES = `export * from './index.js';
import * as all from './index.js';
export default all;
`;

export function writeEsmEntry(folder) {
  write(folder, "import commonjs from './index.js';\n\nexport default commonjs;\n", 'commonjs');
}

/**
 * An entry that requires the CommonJS one by the package's own name: Node finds the package that the file belongs to, and a bundle that
 * contains the file finds the one installed beside it.
 */
export function writeTraceableEsmEntry(folder) {
  const { BUNDLED_MESSAGE } = createRequire(import.meta.url)(path.join(folder, 'bundled.js'));
  write(folder, loader(BUNDLED_MESSAGE), 'tokenlearner');
}

/** `load` defines `variable` with what index.js exports, and exports it as the default. */
function write(folder, load, variable) {
  const names = Object.keys(createRequire(import.meta.url)(path.join(folder, 'index.js'))).sort();
  const invalid = names.filter((name) => !/^[A-Za-z_$][\w$]*$/.test(name) || name === 'default');
  if (names.length === 0 || invalid.length > 0) {
    throw new SetupError(`Expected named exports in ${folder} but found [${invalid.join(', ')}]`);
  }
  const list = names.map((name) => `  ${name},\n`).join('');
  writeFileSync(path.join(folder, 'index.mjs'), `${load}\nexport const {\n${list}} = ${variable};\n`);
  writeFileSync(path.join(folder, 'index.d.mts'), TYPES);
}

/**
 * The lines that load the CommonJS entry. File tracers know the exact form of the first call. In a bundle `import.meta.url` is the
 * bundle's, or undefined, or a file of the machine that made the bundle; `__filename` is then the bundle's.
 */
function loader(message) {
  return `import { createRequire } from 'node:module';

const BundledError = class TokenLearnerError extends Error {
  static {
    this.prototype.name = 'TokenLearnerError';
  }
  code = 'ERR_BUNDLED';
};

let tokenlearner;
try {
  const require = createRequire(import.meta.url);
  tokenlearner = require('tokenlearner');
} catch (cause) {
  tokenlearner = requireFromBundle(cause);
}

function requireFromBundle(cause) {
  if (typeof import.meta.url === 'string' && !isMissing(cause)) throw cause;
  try {
    if (typeof __filename === 'string') return createRequire(__filename)('tokenlearner');
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  throw new BundledError(${JSON.stringify(message)}, { cause });
}

function isMissing({ code, message }) {
  return code === 'MODULE_NOT_FOUND' && message.includes("'tokenlearner'");
}

export default tokenlearner;
`;
}
