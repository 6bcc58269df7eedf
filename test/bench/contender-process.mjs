import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { root } from '../../scripts/tools.mjs';

const KEPT_ERROR_LINES = 20;

/** A program that answers requests, one JSON object a line: the protocol is at the head of test/bench/python/peer.py. */
export class ContenderProcess {
  #child;
  #pending = [];
  #errors = [];
  #ended = null;

  /** `threads` goes to what takes its thread count from the environment: libtorch in our own process, OpenMP and MKL in all. */
  constructor(command, args, { threads, environment = {} }) {
    const count = String(threads);
    this.#child = spawn(command, args, {
      cwd: root,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, OMP_NUM_THREADS: count, MKL_NUM_THREADS: count, ...environment },
    });
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('close', (code, signal) => this.#end(`ended with ${signal ?? `exit code ${code}`}`));
    this.#child.stdin.on('error', () => {}); // 'close' reports it with the reason
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#receive(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => {
      this.#errors.push(line);
      if (this.#errors.length > KEPT_ERROR_LINES) this.#errors.shift();
    });
  }

  /** True once the program has ended, by itself or by {@link close}. */
  get ended() {
    return this.#ended !== null;
  }

  /** Rejects with the program's own message when it fails, and with its last output when it ends. */
  ask(op, request = {}) {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(new Error(this.#ended));
      this.#pending.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ op, ...request })}\n`);
    });
  }

  /** Ends the program and waits for that. */
  async close() {
    if (this.#ended !== null) return;
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin.end();
    await closed;
  }

  #receive(line) {
    const request = this.#pending.shift();
    if (request === undefined) return;
    try {
      const { failed, ...reply } = JSON.parse(line);
      if (failed) request.reject(new Error(reply.error));
      else request.resolve(reply);
    } catch {
      request.reject(new Error(`Expected a line of JSON but received ${line}`));
    }
  }

  #end(reason) {
    this.#ended ??= [reason, ...this.#errors].join('\n');
    for (const { reject } of this.#pending.splice(0)) reject(new Error(this.#ended));
  }
}
