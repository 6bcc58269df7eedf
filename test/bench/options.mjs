/** The command line of the benchmark. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root, SetupError } from '../../scripts/tools.mjs';
import { CONTENDERS } from './contenders.mjs';
import { WORKLOADS } from './workloads.mjs';

export const USAGE = `npm run bench -- [OPTION]...

  --quick             three workloads, fewer contenders and rounds; only peers that are installed already. Under two minutes
  --workloads A,B     only these: ${WORKLOADS.map(({ name }) => name).join(', ')}
  --contenders A,B    only these, and fused: ${CONTENDERS.map(({ id }) => id).join(', ')}
  --threads N         threads of each contender (default: the cores that there are)
  --output FOLDER     where the results go (default: build/bench; a full run: test/bench/results and BENCHMARKS.md)`;

/** Where the results that the project shows are. */
export const PUBLISHED = path.join(root, 'test', 'bench', 'results');

const QUICK = {
  workloads: ['doc-1', 'doc-2', 'zeta-test'],
  contenders: ['fused', 'grouped-conv', 'eager', 'ort-node', 'ort-node-rewrite', 'matmul'],
};

// Seconds of measuring a workload, and the bounds of the number of rounds.
const FULL_PACE = { seconds: 12, minimumRounds: 3, maximumRounds: 30 };
const QUICK_PACE = { seconds: 4, minimumRounds: 3, maximumRounds: 10 };

/** {quick, install, workloads, contenders, threads, pace, output, published}; throws a SetupError that says what is wrong. */
export function parseOptions(args) {
  const values = parse(args);
  const quick = values.quick ?? false;
  const chosen = (name, all, key, standard) =>
    values[name] === undefined ? standard : pick(name, values[name].split(','), all, key);
  const workloads = chosen(
    'workloads',
    WORKLOADS,
    'name',
    WORKLOADS.filter(({ name }) => !quick || QUICK.workloads.includes(name)),
  );
  const contenders = chosen(
    'contenders',
    CONTENDERS,
    'id',
    CONTENDERS.filter(({ id }) => !quick || QUICK.contenders.includes(id)),
  );
  const full = !quick && workloads.length === WORKLOADS.length && contenders.length === CONTENDERS.length;
  const output = values.output === undefined ? null : path.resolve(values.output);
  return {
    quick,
    install: !quick,
    workloads,
    contenders: CONTENDERS.filter((each) => each.id === 'fused' || contenders.includes(each)),
    threads: threadCount(values.threads),
    pace: quick ? QUICK_PACE : FULL_PACE,
    published: full && output === null,
    output: output ?? (full ? PUBLISHED : path.join(root, 'build', 'bench')),
  };
}

function parse(args) {
  const string = { type: 'string' };
  const options = {
    quick: { type: 'boolean' },
    workloads: string,
    contenders: string,
    threads: string,
    output: string,
  };
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
}

function pick(option, names, all, key) {
  const unknown = names.filter((name) => !all.some((each) => each[key] === name));
  if (unknown.length === 0) return all.filter((each) => names.includes(each[key]));
  throw new SetupError(
    `Expected names out of ${all.map((each) => each[key]).join(', ')} for --${option} but received ${unknown.join(', ')}`,
  );
}

function threadCount(given) {
  if (given === undefined) return availableParallelism();
  const threads = Number(given);
  if (Number.isInteger(threads) && threads >= 1) return threads;
  throw new SetupError(`Expected a positive integer for --threads but received ${given}`);
}
