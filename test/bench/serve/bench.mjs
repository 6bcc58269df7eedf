/**
 * The serving benchmark: each contender in a process of its own, under a closed loop and then an open loop at multiples of its own
 * saturation, from a load generator in another process on loopback.
 *
 *   npm run bench:serve [-- --quick] [--output FOLDER] [--only NAME,...] [--device cuda] [--closed]
 *
 * A full run takes less than 15 minutes and writes serve-cpu.json and serve-cpu.svg; --quick takes less than a minute, to see that all works;
 * --closed leaves the open loop out, and so the chart. On a GPU the files are serve-cuda.*, and requests come from the host's memory.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runtime } from '../../../dist/index.mjs';
import { root, say } from '../../../scripts/tools.mjs';
import { ensurePeers } from '../install-peers.mjs';
import { describeCommit, describeMachine } from '../machine.mjs';
import { WORKLOADS } from '../workloads.mjs';
import { drawServeChart } from './chart.mjs';

const DEADLINE_MS = 250;
/** As many as callers: what waits behind them is answered in time on every workload here. */
const MAX_QUEUE = 64;
const LOADS = [0.5, 1, 1.5, 2, 3];
const CALLERS = 64;

/** `process` is the contender's program, `protocol` the client's. */
const CONTENDERS = [
  { id: 'batcher', process: 'batcher', protocol: 'raw' },
  { id: 'forward', process: 'forward', protocol: 'raw' },
  { id: 'onnxruntime', process: 'onnxruntime', protocol: 'raw' },
  { id: 'http-binary', process: 'server', protocol: 'binary' },
  { id: 'http-json', process: 'server', protocol: 'json' },
  { id: 'grpc', process: 'server', protocol: 'grpc' },
];

/** One image a request; of RT-1 the six of a step. */
const CASES = { cpu: ['cifar', 'doc-1'], cuda: ['cifar', 'doc-1', 'rt1-step'] };

function casesOn(device) {
  return CASES[device].map((name) => {
    const { shape, dim, ffMult, numOutputTokens } = WORKLOADS.find((each) => each.name === name);
    const images = name === 'rt1-step' ? shape : [1, ...shape.slice(1)];
    return { name, shape: images, model: { dim, ffMult, numOutputTokens, device } };
  });
}

const FULL = { closedSeconds: 6, openSeconds: 8, warmSeconds: 2, loads: LOADS, cases: Infinity };
const QUICK = { closedSeconds: 0.5, openSeconds: 0.5, warmSeconds: 0.2, loads: [0.5, 3], cases: 1 };
/** The seconds of the closed loops of --closed. */
const CLOSED = { closedSeconds: 1.5, warmSeconds: 0.5, loads: [] };

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** A child process that answers each message with one. */
class Child {
  #process;

  constructor(file, args = []) {
    this.#process = fork(here(file), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  /** The next message. Rejects if the process ends before it. */
  next() {
    return new Promise((resolve, reject) => {
      const onMessage = (message) => {
        this.#process.off('exit', onExit);
        resolve(message);
      };
      const onExit = (code) => {
        this.#process.off('message', onMessage);
        reject(new Error(`A process of the benchmark ended with code ${code}`));
      };
      this.#process.once('message', onMessage).once('exit', onExit);
    });
  }

  ask(message) {
    const answer = this.next();
    this.#process.send(message);
    return answer;
  }

  tell(message) {
    this.#process.send(message);
  }

  async end() {
    if (this.#process.exitCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

/** The figures of one contender under one workload. */
async function measure({ process: program, protocol }, { model, shape }, plan, generator, onnxruntime) {
  const threads = availableParallelism();
  const config = JSON.stringify({ model, shape, threads, onnxruntime, maxQueueSize: MAX_QUEUE });
  const contender = new Child('contender.mjs', [program, config]);
  try {
    const server = await contender.next();
    const input = { shape, length: shape.reduce((product, size) => product * size, 1) };
    const load = async (loop, options) => {
      contender.tell('measure');
      const figures = await generator.ask({
        protocol,
        server,
        input,
        loop,
        options,
        deadlineMs: DEADLINE_MS,
      });
      return { ...figures, ...(await contender.ask('report')) };
    };
    await load('closed', { callers: CALLERS, seconds: plan.warmSeconds });
    const alone = await load('closed', { callers: 1, seconds: plan.closedSeconds / 2 });
    const closed = await load('closed', { callers: CALLERS, seconds: plan.closedSeconds });
    const open = [];
    for (const multiple of plan.loads) {
      const rate = multiple * Math.max(1, closed.throughput);
      const figures = await load('open', { rate, seconds: plan.openSeconds, seed: 1 });
      open.push({ load: multiple, offered: Number(rate.toFixed(1)), ...figures });
    }
    return { alone, closed, open };
  } finally {
    await contender.end();
  }
}

/** Runs all. @returns {workloads, machine, ...}, as it is written. */
async function run(plan, contenders, device) {
  const { onnxruntime } = device === 'cpu' ? ensurePeers({ install: false }) : { onnxruntime: null };
  const generator = new Child('load.mjs');
  const workloads = [];
  const before = loadavg()[0];
  try {
    for (const each of casesOn(device).slice(0, plan.cases)) {
      const found = {};
      for (const contender of contenders) {
        if (contender.id === 'onnxruntime' && onnxruntime === null) continue;
        const figures = await measure(contender, each, plan, generator, onnxruntime);
        found[contender.id] = figures;
        const { throughput, p99Ms } = figures.closed;
        say(
          `${each.name}, ${contender.id}: ${throughput} answers/s with ${CALLERS} callers, p99 ${p99Ms} ms`,
        );
      }
      workloads.push({ name: each.name, shape: each.shape, contenders: found });
    }
  } finally {
    await generator.end();
  }
  const machine = { ...describeMachine(), load: Number(before.toFixed(2)) };
  return {
    commit: process.env.TOKENLEARNER_COMMIT ?? describeCommit(),
    device,
    card: device === 'cpu' ? undefined : runtime.info().devices[1]?.name,
    machine,
    deadlineMs: DEADLINE_MS,
    maxQueueSize: MAX_QUEUE,
    callers: CALLERS,
    workloads,
  };
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    output: { type: 'string' },
    only: { type: 'string' },
    device: { type: 'string', default: 'cpu' },
    closed: { type: 'boolean', default: false },
  },
});
const { device } = values;
if (CASES[device] === undefined) throw new Error(`Expected cpu or cuda for --device but received ${device}`);
const only = values.only?.split(',');
const stranger = only?.find((name) => !CONTENDERS.some(({ id }) => id === name));
if (stranger !== undefined)
  throw new Error(`Expected --only of ${CONTENDERS.map(({ id }) => id).join(', ')} but received ${stranger}`);
const contenders = CONTENDERS.filter(({ id }) => only === undefined || only.includes(id));
const plan = { ...(values.quick ? QUICK : FULL), ...(values.closed ? CLOSED : {}) };
const results = await run(plan, contenders, device);
const published = path.join(root, 'test', 'bench', 'results');
const unpublished = path.join(root, 'build', 'bench');
const isWhole = !values.quick && !values.closed && only === undefined;
const folder = values.output ?? (isWhole ? published : unpublished);
mkdirSync(folder, { recursive: true });
writeFileSync(path.join(folder, `serve-${device}.json`), `${JSON.stringify(results, null, 1)}\n`);
if (!values.closed) writeFileSync(path.join(folder, `serve-${device}.svg`), drawServeChart(results));
say(`Wrote ${path.relative(root, folder)}/serve-${device}.*`);
