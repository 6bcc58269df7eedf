/** The documentation site: its links, its looks on phones, tablets and screens, in light and dark, and its search. */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium as driver, type Page } from 'playwright-core';
import { root } from './blocks';
import { brokenLinks, htmlAnchors, htmlLinks, markdownAnchors, markdownLinks } from './links';
import {
  buildSite,
  chromium,
  CHROMIUM_OPTIONS,
  html,
  reference,
  type Reflection,
  site,
  sitePages,
} from './site';

const CLASS = 128;
const FUNCTION = 64;
const VARIABLE = 32;
const WIDEST = 1280;
const WIDTHS = [360, 768, WIDEST];
const SCHEMES = ['light', 'dark'] as const;

beforeAll(buildSite, 300_000);

test('every public class, function and object has an example', () => {
  const hasExample = ({ comment, signatures = [] }: Reflection): boolean =>
    comment?.blockTags?.some(({ tag }) => tag === '@example') === true || signatures.some(hasExample);
  const asked = reference().filter(({ kind }) => [CLASS, FUNCTION, VARIABLE].includes(kind));
  expect(asked.length).toBeGreaterThan(20);
  expect(asked.filter((each) => !hasExample(each)).map(({ name }) => name)).toEqual([]);
});

test('the guides are pages, by the names of their headings', () => {
  const names = sitePages().filter((name) => name.startsWith('documents/'));
  const files = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  expect(names.length).toBeGreaterThanOrEqual(files.length);
  for (const name of [
    'Installation',
    'First_steps',
    'Coming_from_PyTorch',
    'Pictures_in',
    'Weights',
    'GPU',
    'Performance',
    'Errors',
  ])
    expect(names).toContain(`documents/${name}.html`);
});

test('no link of the site leads nowhere', () => {
  const broken = sitePages().flatMap((page) =>
    brokenLinks(path.join(site, page), htmlLinks, htmlAnchors).map((target) => `${page}: ${target}`),
  );
  expect(broken).toEqual([]);
});

test('no link of a Markdown file leads nowhere', () => {
  const folders = ['.', 'docs', 'examples'];
  const files = folders.flatMap((folder) =>
    readdirSync(path.join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => path.join(root, folder, name)),
  );
  const broken = files.flatMap((file) =>
    brokenLinks(file, markdownLinks, markdownAnchors).map(
      (target) => `${path.relative(root, file)}: ${target}`,
    ),
  );
  expect(broken).toEqual([]);
});

test('no formula of the reference lost its signs to Markdown', () => {
  const pages = sitePages().filter((page) => !page.startsWith('documents/') && page !== 'index.html');
  expect(pages.filter((page) => html(page).includes('<em>'))).toEqual([]);
});

const seen = chromium === undefined ? describe.skip : describe;
const pictures = readdirSync(path.join(root, 'test', 'bench', 'results')).filter((name) =>
  name.endsWith('.svg'),
);

seen(chromium === undefined ? 'in a browser: SKIPPED, Chromium is not installed' : 'in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await driver.launch({ executablePath: chromium ?? '', args: CHROMIUM_OPTIONS });
  }, 60_000);
  afterAll(async () => {
    await browser.close();
  });

  /** Opens a file in a window of its own. */
  async function visit(file: string, look: (page: Page) => Promise<void>): Promise<void> {
    const context = await browser.newContext({ reducedMotion: 'reduce' });
    await context.addInitScript({ path: path.join(__dirname, 'in-page.js') });
    const page = await context.newPage();
    await page.goto(pathToFileURL(file).href);
    if (file.endsWith('.html')) await page.addStyleTag({ content: '* { transition: none !important }' });
    await look(page);
    await context.close();
  }

  const check = (page: Page, name: 'overflow' | 'contrast' | 'pictures' | 'drawing'): Promise<string[]> =>
    page.evaluate<string[]>(`checks.${name}()`);

  /** What is wrong with the page that is open, at this width. The widest shows all that has a colour. */
  async function problemsAt(page: Page, width: number): Promise<string[]> {
    const found = [(await check(page, 'overflow')).map((each) => `${width} pixels: ${each}`)];
    for (const colorScheme of width === WIDEST ? SCHEMES : []) {
      await page.emulateMedia({ colorScheme });
      found.push((await check(page, 'contrast')).map((each) => `${colorScheme}: ${each}`));
    }
    if (width === WIDEST) found.push((await check(page, 'pictures')).map((each) => `pictures: ${each}`));
    return found.flatMap((each) => each.slice(0, 5));
  }

  test.each(['index.html', 'classes/Tensor.html', 'documents/Errors.html'])(
    '%s is not wider than the window, and every text of it can be read',
    async (name) => {
      await visit(path.join(site, name), async (page) => {
        for (const width of WIDTHS) {
          await page.setViewportSize({ width, height: 900 });
          expect(await problemsAt(page, width)).toEqual([]);
        }
      });
    },
  );

  /** What is wrong with pages at some widths, without the navigation, which is the same on all. */
  async function problemsOf(names: string[], widths: number[]): Promise<string[]> {
    const wrong: string[] = [];
    await visit(path.join(site, 'index.html'), async (page) => {
      for (const width of widths) {
        await page.setViewportSize({ width, height: 900 });
        for (const name of names) {
          const address = pathToFileURL(path.join(site, name)).href;
          await page.evaluate(`checks.show(${JSON.stringify(html(name))}, ${JSON.stringify(address)})`);
          wrong.push(...(await problemsAt(page, width)).map((each) => `${name}, ${each}`));
        }
      }
    });
    return wrong;
  }

  // Pages of one template. Those of the classes have all that is in them.
  const isSmall = (name: string): boolean => /^(?:interfaces|types|functions|variables)\//.test(name);

  test('neither are the other guides and classes', async () => {
    const names = sitePages().filter((name) => !isSmall(name));
    expect(names.length).toBeGreaterThan(40);
    expect(await problemsOf(names, WIDTHS)).toEqual([]);
  }, 600_000);

  test('the pages of interfaces, types and functions are not wider than a phone', async () => {
    const names = sitePages().filter(isSmall);
    expect(names.length).toBeGreaterThan(100);
    expect(await problemsOf(names, WIDTHS.slice(0, 1))).toEqual([]);
  }, 600_000);

  test.each(pictures)('%s has everything inside, and no text over another', async (name) => {
    await visit(path.join(root, 'test', 'bench', 'results', name), async (page) => {
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        expect(await check(page, 'drawing')).toEqual([]);
      }
    });
  });

  test('the checks see what is wrong', async () => {
    const file = path.join(site, 'wrong.html');
    writeFileSync(
      file,
      '<p style="width: 3000px; color: #888; background: #999">wide</p><img src="missing.png">',
    );
    const drawing = path.join(site, 'wrong.svg');
    const texts =
      '<text x="10" y="20">one</text><text x="12" y="20">two</text><text x="95" y="50">outside</text>';
    writeFileSync(drawing, `<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">${texts}</svg>`);
    await visit(file, async (page) => {
      expect(await check(page, 'overflow')).toHaveLength(2);
      expect(await check(page, 'contrast')).toHaveLength(1);
      expect(await check(page, 'pictures')).toHaveLength(1);
    });
    await visit(drawing, async (page) => {
      const found = await check(page, 'drawing');
      expect(found).toEqual([expect.stringContaining('outside'), 'one covers two']);
    });
  });

  test('the navigation leads somewhere, the search finds, and the theme can be chosen', async () => {
    await visit(path.join(site, 'index.html'), async (page) => {
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.waitForSelector('#tsd-nav-container a');
      const links = await page.evaluate<string[]>(
        "[...document.querySelectorAll('#tsd-nav-container a')].map((each) => each.getAttribute('href'))",
      );
      expect(links.length).toBeGreaterThan(50);
      const known = new Set(sitePages());
      const targets = links.map((link) => path.posix.normalize(link.split('#')[0] ?? ''));
      expect(targets.filter((target) => target !== '.' && !known.has(target))).toEqual([]);

      await page.click('#tsd-search-trigger');
      await page.fill('#tsd-search-input', 'safetensors');
      await page.waitForSelector('#tsd-search-results li');
      const found = await page.evaluate<string>("document.querySelector('#tsd-search-results').textContent");
      expect(found).toMatch(/Files|loadSafetensors|saveSafetensors/);
      await page.keyboard.press('Escape');

      await page.click('.settings summary');
      await page.selectOption('#tsd-theme', 'dark');
      const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      expect(background).toBe('rgb(13, 17, 23)');
    });
  });
});
