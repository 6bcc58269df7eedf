import { evaluateScript } from './support';

const evaluate = (expression: string): unknown => evaluateScript('release.mjs', expression);

const TEXT = JSON.stringify(
  '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- this\n\n## [0.1.0] - 2026-01-01\n\n- that\n\n## [0.0.1] - 2025-01-01\n',
);

describe('changesOf', () => {
  it('gives the text of a version, and nothing for an empty or a missing one', () => {
    expect(evaluate(`it.changesOf(${TEXT}, 'Unreleased')`)).toBe('### Added\n\n- this');
    expect(evaluate(`it.changesOf(${TEXT}, '0.1.0')`)).toBe('- that');
    expect(evaluate(`it.changesOf(${TEXT}, '0.0.1')`)).toBeNull();
    expect(evaluate(`it.changesOf(${TEXT}, '9.9.9')`)).toBeNull();
  });
});

describe('cutVersion', () => {
  it('dates what is unreleased and leaves a place for what comes next', () => {
    const text = evaluate(`it.cutVersion(${TEXT}, '0.2.0', '2026-02-02')`) as string;
    expect(text).toContain('## [Unreleased]\n\n## [0.2.0] - 2026-02-02\n\n### Added\n\n- this\n\n## [0.1.0]');
  });

  it('refuses a version that is there, and one without changes', () => {
    expect(() => evaluate(`it.cutVersion(${TEXT}, '0.1.0', '')`)).toThrow('has 0.1.0 already');
    expect(() => evaluate(`it.cutVersion('## [Unreleased]\\n', '1.0.0', '')`)).toThrow(
      'nothing under [Unreleased]',
    );
  });
});

describe('unfilledFields', () => {
  it('finds the fields that still hold the placeholder', () => {
    const manifest = {
      name: 'x',
      author: 'YOUR-ORGANISATION',
      bugs: { url: 'https://example.com/YOUR-ORGANISATION' },
    };
    expect(evaluate(`it.unfilledFields(${JSON.stringify(manifest)})`)).toEqual(['author', 'bugs']);
    expect(evaluate(`it.unfilledFields({ name: 'x', author: 'y' })`)).toEqual([]);
  });
});
