/** The results of the GPU checks, as test/bench/results has them: one gpu-<card>.json a card. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from '../../scripts/tools.mjs';

/** The checks without which no times are published: wrong results can be fast. */
const REQUIRED = ['parity', 'faults', 'server', 'programs', 'bench'];

/** Those of them that count checks. */
const CHECKS = REQUIRED.filter((name) => name !== 'bench');

/** Such as 'gpu-nvidia-h100-80gb-hbm3', for the files of a card. */
export function baseNameOf(card) {
  return `gpu-${card
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')}`;
}

/** The published results of all cards, by the name of the card. */
export function readGpuResults(folder) {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files
    .filter((name) => /^gpu-.*\.json$/.test(name))
    .sort()
    .map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')));
}

/**
 * Reads the reports parity.json, faults.json, server.json, programs.json, bench.json and, where there is one, compile.json: {parity, ...}; and
 * the times batcher.json, serve-cuda.json and kernels.jsonl, where they are there: {batcher, serve, kernels}.
 */
export function readFolder(folder) {
  const read = (name, parse) => {
    const file = path.join(folder, name);
    return existsSync(file) ? [[path.parse(name).name, parse(readFileSync(file, 'utf8'))]] : [];
  };
  const lines = (text) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  return {
    reports: Object.fromEntries([...REQUIRED, 'compile'].flatMap((name) => read(`${name}.json`, JSON.parse))),
    times: Object.fromEntries([
      ...read('batcher.json', JSON.parse),
      ...read('serve-cuda.json', JSON.parse).map(([, serve]) => ['serve', serve]),
      ...read('kernels.jsonl', lines),
    ]),
  };
}

/**
 * One record out of the reports of one card: {card, driver, libtorch, commit, ..., checks, rows, compileRows, host, batcher, serve,
 * kernels}. Throws a SetupError unless all but `compile` ran to their ends on the same card, libtorch and commit, without a failure.
 *
 * @param reports - {parity, faults, server, programs, bench, compile}: what test/gpu/check.mjs writes; `compile` may be missing.
 * @param times - {batcher, serve, kernels} of the same run; each may be missing.
 */
export function combineReports(reports, times = {}) {
  for (const name of REQUIRED)
    if (reports[name] === undefined) throw new SetupError(`${name}.json is missing`);
  for (const [name, report] of Object.entries(reports)) checkReport(name, report);
  checkSame(reports);
  const { date, commit, info, bench } = reports.bench;
  if (bench.left.length > 0) throw new SetupError(`bench.json lacks ${bench.left.join(', ')}`);
  const { card, driver, cuda, cudnn, torch } = bench.versions;
  return {
    card,
    computeCapability: info.devices[1].computeCapability,
    driver,
    libtorch: info.libtorch.version,
    commit,
    date,
    versions: { tokenlearner: info.version, node: info.node, torch, cuda, cudnn },
    checks: Object.fromEntries(CHECKS.map((name) => [name, reports[name].checks])),
    queue: bench.queue,
    rows: bench.rows,
    compileRows: reports.compile?.bench.rows ?? [],
    host: bench.host ?? [],
    batcher: times.batcher?.results ?? [],
    serve: times.serve?.workloads ?? [],
    kernels: (times.kernels ?? []).filter(({ chosen }) => chosen),
  };
}

function checkReport(name, { device, finished, failures }) {
  if (device !== 'cuda') throw new SetupError(`${name}.json is a trial on the CPU`);
  if (failures.length > 0) throw new SetupError(`${name}.json has failures, such as ${failures[0].name}`);
  // torch.compile takes so long that its run may be cut short.
  if (!finished && name !== 'compile') throw new SetupError(`${name}.json is of a run that was cut short`);
}

function checkSame(reports) {
  const identity = ({ commit, info }) =>
    `${info.devices[1].name}, libtorch ${info.libtorch.version}, commit ${commit}`;
  const found = new Set(Object.values(reports).map(identity));
  if (found.size > 1)
    throw new SetupError(`The reports are not of one card and commit: ${[...found].join('; ')}`);
}
