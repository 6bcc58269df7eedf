/**
 * `npm run test:matrix`: the packed packages with the package managers, runtimes, test runners, bundlers, compilers and servers that
 * users have, each in a temporary folder at the versions in test/matrix/versions.json.
 *
 *     node scripts/matrix.mjs [--quick] [--only NAME] [--list] [--write] [--keep] [--jobs N]
 *
 * Needs build/packages (node scripts/pack.mjs) and a registry of npm packages. `--quick` runs the cases of CI; `--only` those whose group
 * or name contains NAME; `--write` writes their rows of docs/matrix.md; `--keep` leaves the folders. What cannot be had here is SKIP,
 * with the reason. The counts go to build/test-results/jest.json, as those of the tests.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { removable, Skip } from '../test/matrix/support.mjs';
import { commandLine, isMain, main, root, say, SetupError } from './tools.mjs';

const CASES = path.join(root, 'test', 'matrix', 'cases');
const PAGE = path.join(root, 'docs', 'matrix.md');

/** All cases, with their groups: a file of test/matrix/cases is a group. */
export async function loadCases() {
  const files = readdirSync(CASES).filter((file) => file.endsWith('.mjs'));
  const groups = files.map(async (file) => {
    const { default: cases } = await import(new URL(`../test/matrix/cases/${file}`, import.meta.url));
    return cases.map((each) => ({ group: file.slice(0, -'.mjs'.length).replaceAll('-', ' '), ...each }));
  });
  return (await Promise.all(groups)).flat();
}

/** The cases that the command line asks for. */
export function choose(cases, { quick, only }) {
  const chosen = cases.filter(
    ({ group, name, quick: isQuick }) =>
      (!quick || isQuick === true) && (only === undefined || `${group}: ${name}`.includes(only)),
  );
  if (chosen.length === 0) throw new SetupError(`No case's group or name contains '${only}'`);
  return chosen;
}

/** Runs one case: {group, name, status, detail, output}. */
export async function runCase({ group, name, run }) {
  const start = performance.now();
  const outcome = await attempt(run);
  const seconds = Math.round((performance.now() - start) / 1000);
  say(`${outcome.status}  ${group}: ${name} (${seconds} s) ${outcome.detail}`);
  if (outcome.output) say(shortened(outcome.output));
  return { group, name, ...outcome };
}

/** The last 60 lines, each cut: bundles print themselves as one line. */
function shortened(text) {
  const lines = text.split('\n').slice(-60);
  return lines.map((line) => `      ${line.slice(0, 300)}`).join('\n');
}

async function attempt(run) {
  try {
    return { status: 'pass', detail: (await run()) ?? '' };
  } catch (error) {
    if (error instanceof Skip) return { status: 'SKIP', detail: error.message };
    const detail = error.message.split('\n')[0].slice(0, 200);
    return { status: 'FAIL', detail, output: error.stack };
  }
}

/** Runs all cases, `jobs` at a time; the results are in the order of the cases. */
async function runAll(cases, jobs) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < cases.length) {
      const index = next++;
      results[index] = await runCase(cases[index]);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

const cell = (text) => text.replaceAll('|', '\\|');
const row = (...cells) => `| ${cells.map(cell).join(' | ')} |`;

/** The results as a table of Markdown. */
export function table(results) {
  const rows = results.map(({ group, name, status, detail }) => row(group, name, status, detail));
  return ['| | with | result | |', '|---|---|---|---|', ...rows].join('\n');
}

/**
 * docs/matrix.md with new results: their rows replace those of the same cases in the page before. `cases` are all there are; those that
 * neither has are left out.
 */
export function page(before, cases, results, date) {
  const start = ({ group, name }) => `${row(group, name).slice(0, -1)}| `;
  const rows = cases.map((each) => {
    const result = results.find(({ group, name }) => group === each.group && name === each.name);
    if (result) return `${start(each)}${cell(result.status)} | ${date} | ${cell(result.detail)} |`;
    return before.split('\n').find((line) => line.startsWith(start(each)));
  });
  return `# Tested versions

\`npm run test:matrix\` writes this page. Each case installs the packed packages into an empty folder, on ${process.platform}-${process.arch}, and most compare the tokens of
a seeded model with those of plain Node, bit for bit. The exact versions are in \`test/matrix/versions.json\`. SKIP is a tool that could not be had there. For
bundlers, "runs" and "advice" say what a bundle does that contains the package: [Deployment](deployment.md#bundlers).

| | with | result | run on | |
|---|---|---|---|---|
${rows.filter((each) => each !== undefined).join('\n')}
`;
}

function writePage(cases, results) {
  const before = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  writeFileSync(PAGE, page(before, cases, results, new Date().toISOString().slice(0, 10)));
}

function writeReport(results) {
  const count = (status) => results.filter((result) => result.status === status).length;
  const folder = path.join(root, 'build', 'test-results');
  mkdirSync(folder, { recursive: true });
  const report = {
    numPassedTests: count('pass'),
    numFailedTests: count('FAIL'),
    numRuntimeErrorTestSuites: 0,
  };
  writeFileSync(path.join(folder, 'jest.json'), `${JSON.stringify(report)}\n`);
  console.log(`${count('pass')} passed, ${count('FAIL')} failed, ${count('SKIP')} skipped`);
  if (count('FAIL') > 0) throw new SetupError('The matrix has failures');
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const flag = { type: 'boolean', default: false };
    const { values } = commandLine({
      quick: flag,
      list: flag,
      write: flag,
      keep: flag,
      only: { type: 'string' },
      jobs: { type: 'string', default: '2' },
    });
    const all = await loadCases();
    const cases = choose(all, values);
    if (values.list) return cases.forEach(({ group, name }) => console.log(`${group}: ${name}`));
    const results = await runAll(cases, Number(values.jobs));
    if (values.keep) say(`The projects are in ${removable()}`);
    else if (removable()) rmSync(removable(), { recursive: true, force: true });
    console.log(table(results));
    if (values.write) writePage(all, results);
    writeReport(results);
  });
}
