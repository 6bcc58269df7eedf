/** The Dockerfiles: a linter, and the rules of this repository. test/matrix/cases/docker.mjs runs their commands. */
import { validate, ValidationSeverity } from 'dockerfile-utils';
import { version } from '../../package.json';
import { dockerfile } from './dockerfile';

/** What the linter says, as lines. */
function lint(text: string): string[] {
  const found = validate(text, {
    deprecatedMaintainer: ValidationSeverity.ERROR,
    emptyContinuationLine: ValidationSeverity.ERROR,
    instructionCasing: ValidationSeverity.ERROR,
    instructionCmdMultiple: ValidationSeverity.ERROR,
    instructionEntrypointMultiple: ValidationSeverity.ERROR,
    instructionHealthcheckMultiple: ValidationSeverity.ERROR,
    instructionJSONInSingleQuotes: ValidationSeverity.ERROR,
    instructionWorkdirRelative: ValidationSeverity.ERROR,
    requireCasing: ValidationSeverity.ERROR,
  } as Parameters<typeof validate>[1]);
  return found.map(({ range, message }) => `${range.start.line + 1}: ${JSON.stringify(message)}`);
}

describe.each(['Dockerfile', 'Dockerfile.cuda'])('%s', (name) => {
  const file = dockerfile(name);
  const last = file.instructions.slice(file.instructions.map(({ keyword }) => keyword).lastIndexOf('FROM'));
  const value = (keyword: string): string | undefined => last.find((each) => each.keyword === keyword)?.value;

  it('passes the linter', () => {
    expect(lint(file.text)).toEqual([]);
  });

  it('takes the packages of this version', () => {
    expect(file.args.PACKAGES).toBe(`tokenlearner@${version} @tokenlearner/server@${version}`);
  });

  it('has pinned images in two stages, a user other than root, and a check of its health', () => {
    const images = file.instructions.filter(({ keyword }) => keyword === 'FROM').map((each) => each.value);
    expect(images).toHaveLength(2);
    for (const image of images) expect(image).toMatch(/^node:\d+-[a-z]+-slim\b/);
    expect(value('USER')).toBe('node');
    expect(value('HEALTHCHECK')).toMatch(/CMD \[/);
    // A shell in between would not pass SIGTERM on.
    expect(JSON.parse(value('ENTRYPOINT') ?? '')).toContain('serve');
    expect(JSON.parse(value('CMD') ?? '')).toContain('--token-file');
  });
});

it.each([
  ['an unknown instruction', 'RUNN npm ci', /[Uu]nknown instruction/],
  ['an unknown flag', 'HEALTHCHECK --every=1s CMD ["true"]', /[Uu]nknown.*flag/],
  ['two commands', 'CMD ["a"]\nCMD ["b"]', /CMD/],
])('the linter finds %s', (_, line, message) => {
  expect(lint(`FROM node:24-bookworm-slim\n${line}\n`).join('\n')).toMatch(message);
});
