/**
 * Nothing calls these functions. File tracers (@vercel/nft, Next.js) and some bundlers recognise the calls in them, and take the
 * addon and an installed libtorch into the deployment. They know these exact forms only, once compiled.
 */
/* eslint-disable @typescript-eslint/no-require-imports, @typescript-eslint/no-unsafe-call */
import path = require('node:path');

export function tracedAddon(): unknown {
  return require('node-gyp-build')(path.join(__dirname, '..', '..'));
}

/** index.js of the package names the folder of its libraries. Bundlers accept that it is not installed where it is in a `try`. */
export function tracedLibtorch(): unknown {
  try {
    return require('@tokenlearner/libtorch-cpu-linux-x64');
  } catch {
    return undefined;
  }
}
