/** PyTorch's side of the bench, baseline.py, in a process of its own. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** It answers requests in order. */
export class Baseline {
  #process;
  #lines;

  constructor(python, device) {
    const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'baseline.py');
    this.#process = spawn(python, [script, '--device', device], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    // If Python is missing or ends, its lines end. ask() reports that.
    this.#process.on('error', () => undefined);
    this.#process.stdin.on('error', () => undefined);
  }

  /** Throws what the baseline answers as an error. */
  async ask(op, request = {}) {
    this.#process.stdin.write(`${JSON.stringify({ op, ...request })}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('The Python baseline ended');
    const { error, ...answer } = JSON.parse(value);
    if (error !== undefined) throw new Error(error);
    return answer;
  }

  close() {
    this.#process.stdin.end();
  }
}
