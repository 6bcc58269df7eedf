import { main } from '../../../lib/cli/main';
import { version } from '../../../lib/cli/version';

jest.mock('@tokenlearner/server', () => {
  throw Object.assign(new Error("Cannot find module '@tokenlearner/server'"), { code: 'MODULE_NOT_FOUND' });
});

it('says how to get the package that it needs', async () => {
  let errors = '';
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    errors += String(text);
    return true;
  });
  expect(await main(['node', 'tokenlearner', 'serve', '--model', 'm=w.safetensors'])).toBe(1);
  jest.restoreAllMocks();
  expect(errors).toContain(`npm install @tokenlearner/server@${version()}`);
  expect(errors).toContain('[ERR_SERVER_NOT_FOUND]');
});
