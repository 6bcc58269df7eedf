/** README.md as the npm registry shows it: there links that are relative to the checkout lead nowhere. */
import { SetupError } from './tools.mjs';

/** The address of the repository's page, from a package.json: `git+https://host/owner/name.git` -> `https://host/owner/name`. */
export function repositoryPage({ repository }) {
  const url = typeof repository === 'string' ? repository : repository?.url;
  const page = /^(?:git\+)?(https:\/\/[^/]+\/[^/]+\/[^/]+?)(?:\.git)?$/.exec(url ?? '')?.[1];
  if (page === undefined)
    throw new SetupError(`package.json: expected the https address of a repository, not ${url}`);
  return page;
}

/**
 * The text with absolute links: to the files of the release's tag, and for pictures to their contents. Leaves out HTML comments, which hold code for
 * the tests.
 */
export function publishedReadme(text, manifest) {
  const page = repositoryPage(manifest);
  const tag = `v${manifest.version}`;
  const absolute = (kind, target) =>
    /^(?:[a-z][a-z+.-]*:|\/\/|#)/i.test(target)
      ? target
      : `${page}/${kind}/${tag}/${target.replace(/^\.\//, '')}`;
  return mapProse(text.replaceAll(/<!--[\s\S]*?-->\n*/g, ''), (prose) =>
    prose
      .replaceAll(
        /!\[([^\]]*)\]\(([^)\s]+)\)/g,
        (_, label, target) => `![${label}](${absolute('raw', target)})`,
      )
      .replaceAll(
        /(?<!!)\[((?:[^[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)/g,
        (_, label, target) => `[${label}](${absolute('blob', target)})`,
      ),
  );
}

/** Changes what is not in a block of code. */
function mapProse(text, change) {
  return text
    .split(/(^```[\s\S]*?^```$)/m)
    .map((part, i) => (i % 2 === 0 ? change(part) : part))
    .join('');
}
