/**
 * One workload: its data, a fresh process for each contender, a check of every contender's numbers, and then the interleaved timing. A fresh
 * process, because its peak memory is reported.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, say } from '../../scripts/tools.mjs';
import { ContenderProcess } from './contender-process.mjs';
import { isOurs } from './contenders.mjs';
import { interleave } from './rounds.mjs';
import { median } from './statistics.mjs';

/** Relative L2 distance to the float64 result from which on a contender does not compute the same layer. */
export const TOLERANCE = 1e-5;

// One for each run, so that two of them do not take each other's files.
const WORK = path.join(root, 'build', `bench-work-${process.pid}`);
const NODE_PROGRAMS = path.join(root, 'test', 'bench', 'node');

export class Session {
  #peers;
  #threads;

  /** `peers` is what ensurePeers gives. */
  constructor(peers, threads) {
    this.#peers = peers;
    this.#threads = threads;
  }

  /** True when the contender's program is installed. */
  has({ program }) {
    return program === 'tokenlearner' || this.#peers[program] !== null;
  }

  /** Starts a program: 'tokenlearner', 'onnxruntime' or 'python'. The caller closes it. */
  start(program) {
    const [command, ...args] = {
      tokenlearner: [process.execPath, path.join(NODE_PROGRAMS, 'tokenlearner.mjs')],
      onnxruntime: [process.execPath, path.join(NODE_PROGRAMS, 'onnxruntime.mjs'), this.#peers.onnxruntime],
      python: [this.#peers.python, path.join(root, 'test', 'bench', 'python', 'peer.py')],
    }[program];
    const environment = {
      PYTHONDONTWRITEBYTECODE: '1',
      TORCHINDUCTOR_CACHE_DIR: path.join(root, 'build', 'bench-peers', 'inductor'),
    };
    return new ContenderProcess(command, args, { threads: this.#threads, environment });
  }

  /** Asks a program one thing, in a process of its own. */
  async once(program, op, request) {
    const started = this.start(program);
    try {
      return await started.ask(op, request);
    } finally {
      await started.close();
    }
  }

  /** id -> {medianMs, minMs, samples, peakMb, baseMb, error, details}, or {failed: reason} for a peer that cannot run. */
  async measure(workload, contenders, pace) {
    mkdirSync(WORK, { recursive: true });
    const files = {
      data: path.join(WORK, `${workload.name}.safetensors`),
      expected: path.join(WORK, `${workload.name}-expected.safetensors`),
    };
    const ready = [];
    const results = {};
    try {
      await this.once('tokenlearner', 'prepare', { workload: workload.name, ...files });
      const models = await this.#export(workload, contenders, files);
      for (const contender of contenders) {
        const outcome = await this.#prepare(contender, { workload, models, ...files });
        if (outcome.failed === undefined) ready.push(outcome);
        else results[contender.id] = outcome;
      }
      const { timed, lost } = await this.#time(ready, pace);
      Object.assign(results, summarize(ready, timed), lost);
    } finally {
      await Promise.all(ready.map(({ process }) => process.close()));
      rmSync(WORK, { recursive: true, force: true });
    }
    return results;
  }

  /** Times all; a peer that dies (a large workload may take more memory than there is) is left out and the rest timed again. */
  async #time(ready, pace) {
    const lost = {};
    for (;;) {
      const alive = ready.filter(({ id }) => lost[id] === undefined);
      try {
        return { timed: await interleave(alive, pace), lost };
      } catch (error) {
        const dead = alive.find(({ process }) => process.ended);
        if (dead === undefined || dead.ours) throw error;
        lost[dead.id] = leaveOut(dead.id, error);
      }
    }
  }

  /** The ONNX files, {repeat, rewrite}; null where they are not needed or cannot be made. */
  async #export(workload, contenders, { data }) {
    if (this.#peers.python === null || contenders.every(({ model }) => model === undefined)) return null;
    return this.once('python', 'export', { workload: workload.name, folder: WORK, data });
  }

  /** {id, process, run, ...} of a contender that is set up, has run, and gave the right numbers. */
  async #prepare(contender, { workload, models, data, expected }) {
    const { id, peer, program, model } = contender;
    const request = { workload: workload.name, peer, threads: this.#threads, data };
    if (program === 'python') request.folder = WORK; // holds the exported models
    if (model !== undefined) {
      if (models === null) return { failed: 'its model is exported by the Python peers' };
      request.model = models[model];
    }
    const process = this.start(program);
    try {
      const { details, base_rss_mb: baseMb } = await process.ask('setup', request);
      // Before the check, whose memory is not the contender's.
      const { peak_rss_mb: peakMb } = await process.ask('run', { iters: 1 });
      const { error } = await process.ask('verify', { expected });
      checkNumbers(contender, workload, error);
      const run = (iters) => process.ask('run', { iters });
      return { id, ours: isOurs(contender), process, details, baseMb, peakMb, error, run };
    } catch (error) {
      await process.close();
      if (isOurs(contender) || error instanceof WrongNumbers) throw error;
      return leaveOut(id, error);
    }
  }
}

/** A contender whose result is not that of the layer: timing it would mean nothing. */
export class WrongNumbers extends Error {}

/** `error` is null for the bare product, which has no tokens. */
export function checkNumbers({ id, form, tolerance = TOLERANCE }, { name }, error) {
  if (form === 'product' && error === null) return;
  if (typeof error === 'number' && error < tolerance) return;
  throw new WrongNumbers(
    `${id} is wrong on ${name}: relative L2 error ${error}, expected below ${tolerance}`,
  );
}

function leaveOut(id, error) {
  const [reason] = error.message.split('\n');
  say(`  ${id} is left out: ${reason}`);
  return { failed: reason };
}

function summarize(ready, timed) {
  const measured = ready.filter(({ id }) => timed.has(id));
  return Object.fromEntries(
    measured.map(({ id, details, baseMb, peakMb, error }) => {
      const times = timed.get(id);
      const speed = { medianMs: median(times), minMs: Math.min(...times), samples: times.length };
      return [id, { ...speed, peakMb, baseMb, error, details }];
    }),
  );
}
