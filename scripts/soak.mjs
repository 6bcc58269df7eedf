/** The long forms of the soak tests: 200,000 requests to a batcher, and 30,000 malformed ones to a server. Each ends after 15 minutes. */
import { setup } from './setup.mjs';
import { jestSuite } from './test.mjs';
import { main } from './tools.mjs';

const TESTS = ['test/lib/serving/soak.test.ts', 'packages/server/test/malformed.test.ts'];

await main(async () => {
  await setup({ tests: true });
  jestSuite({ chosen: TESTS, env: { ...process.env, TOKENLEARNER_SOAK: '1' }, report: null });
});
