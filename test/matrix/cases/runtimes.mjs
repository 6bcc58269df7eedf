/** Each runtime runs the same program, as an ES module and as CommonJS. */
import path from 'node:path';
import { bun, demandTokens, deno, IMPORT, node, project, REQUIRE, run, USE, versions } from '../support.mjs';

const files = { 'app.mjs': IMPORT + USE, 'app.cjs': REQUIRE + USE };

const nodeCase = (version) => ({
  name: `Node ${version}`,
  quick: true,
  async run() {
    const folder = await project('node', { files });
    for (const file of Object.keys(files))
      await demandTokens((await node(folder, [file], { version })).stdout);
  },
});

export default [
  ...versions.nodes.map(nodeCase),
  {
    name: `Bun ${versions.bun}`,
    quick: true,
    async run() {
      const [program, folder] = [await bun(), await project('bun', { files })];
      for (const file of Object.keys(files)) await demandTokens((await run(folder, program, [file])).stdout);
    },
  },
  {
    name: `Deno ${versions.deno}`,
    quick: true,
    async run() {
      const [program, folder] = [await deno(), await project('deno', { files })];
      const env = { DENO_DIR: path.join(folder, '.deno') };
      for (const file of Object.keys(files))
        await demandTokens((await run(folder, program, ['run', '--allow-all', file], { env })).stdout);
    },
  },
];
