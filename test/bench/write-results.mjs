import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, say } from '../../scripts/tools.mjs';
import { drawChart } from './chart.mjs';
import { CONTENDERS } from './contenders.mjs';
import { gpuMarkdown, intoReadme } from './gpu-report.mjs';
import { readGpuResults } from './gpu-results.mjs';
import { PUBLISHED } from './options.mjs';
import { toMarkdown } from './report.mjs';

const PAGE = path.join(root, 'BENCHMARKS.md');
const README = path.join(root, 'README.md');
const CPU_RESULTS = path.join(PUBLISHED, 'cpu.json');
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
  if (publishing) files[PAGE] = intoPage(readFileSync(PAGE, 'utf8'), results, readGpuResults(PUBLISHED));
  else files[path.join(folder, 'cpu.md')] = toMarkdown(results);
  for (const [file, text] of Object.entries(files)) writeFileSync(file, text);
  return Object.keys(files).map((file) => path.relative(root, file));
}

/** The page with its results replaced by these. `gpus` is what readGpuResults gives. */
export function intoPage(page, results, gpus) {
  const sections = [toMarkdown(results), ...gpus.map(gpuMarkdown)];
  return replaceSection(page, `\n\n${sections.join('\n')}\n`);
}

/** The pages as the published results make them, path -> text: BENCHMARKS.md and README.md. */
function currentPages() {
  const page = readFileSync(PAGE, 'utf8');
  const gpus = readGpuResults(PUBLISHED);
  const results = existsSync(CPU_RESULTS) ? JSON.parse(readFileSync(CPU_RESULTS, 'utf8')) : null;
  return {
    [PAGE]: results === null ? replaceSection(page, '\n') : intoPage(page, results, gpus),
    [README]: intoReadme(readFileSync(README, 'utf8'), gpus),
  };
}

/** True when BENCHMARKS.md and README.md show exactly the published results; without any, they must show none. */
export function arePagesCurrent() {
  return Object.entries(currentPages()).every(([file, text]) => readFileSync(file, 'utf8') === text);
}

/** Writes BENCHMARKS.md and README.md with the published results. Returns the files. */
export function renewPages() {
  const pages = currentPages();
  for (const [file, text] of Object.entries(pages)) writeFileSync(file, text);
  return Object.keys(pages).map((file) => path.relative(root, file));
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
