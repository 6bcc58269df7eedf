import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, say } from '../../scripts/tools.mjs';
import { drawChart } from './chart.mjs';
import { CONTENDERS } from './contenders.mjs';
import { PUBLISHED } from './options.mjs';
import { toMarkdown } from './report.mjs';

const PAGE = path.join(root, 'BENCHMARKS.md');
const START = '<!-- results: written by npm run bench -->';
const END = '<!-- end of results -->';

/**
 * Writes cpu.json, cpu.svg, and the tables: for a full run into the page, else into cpu.md. Results that lack a contender are never published.
 *
 * @returns the files.
 */
export function writeResults(results, { output, published }) {
  const complete = isComplete(results);
  if (published && !complete) say('Not every contender was measured: the published results stay as they are');
  const publishing = published && complete;
  const folder = published && !complete ? path.join(root, 'build', 'bench') : output;
  mkdirSync(folder, { recursive: true });
  const files = {
    [path.join(folder, 'cpu.json')]: `${JSON.stringify(results, null, 1)}\n`,
    [path.join(folder, 'cpu.svg')]: drawChart(results),
  };
  if (publishing) files[PAGE] = intoPage(readFileSync(PAGE, 'utf8'), results);
  else files[path.join(folder, 'cpu.md')] = toMarkdown(results);
  for (const [file, text] of Object.entries(files)) writeFileSync(file, text);
  return Object.keys(files).map((file) => path.relative(root, file));
}

/** The page with its results replaced by these. */
export function intoPage(page, results) {
  return replaceSection(page, `\n\n${toMarkdown(results)}\n`);
}

/** True when the page shows exactly the published results; without any, it must show none. */
export function isPageCurrent() {
  const page = readFileSync(PAGE, 'utf8');
  const file = path.join(PUBLISHED, 'cpu.json');
  if (!existsSync(file)) return replaceSection(page, '\n') === page;
  return intoPage(page, JSON.parse(readFileSync(file, 'utf8'))) === page;
}

function replaceSection(page, text) {
  const [start, end] = [page.indexOf(START), page.indexOf(END)];
  if (start < 0 || end < start) throw new Error('BENCHMARKS.md has lost the marks around its results');
  return page.slice(0, start) + START + text + page.slice(end);
}

function isComplete({ workloads }) {
  return workloads.every(({ contenders }) =>
    CONTENDERS.every(({ id }) => typeof contenders[id]?.medianMs === 'number'),
  );
}
