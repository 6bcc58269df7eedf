import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The results of a check. The file is complete after each of them, so a run that is cut short keeps what it has. */
export class Report {
  #file;
  #content;

  /** `file` may be undefined: nothing is written then. */
  constructor(file, head) {
    this.#file = file;
    this.#content = { ...head, finished: false, checks: 0, failures: [] };
    if (file !== undefined) mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
    this.#write();
  }

  check(name, ok, detail = '') {
    console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name}${detail === '' ? '' : `  ${detail}`}`);
    this.#content.checks++;
    if (ok) return;
    this.#content.failures.push({ name, detail });
    this.#write();
  }

  set(key, value) {
    this.#content[key] = value;
    this.#write();
  }

  /** @returns the number of failures. */
  finish() {
    this.set('finished', true);
    return this.#content.failures.length;
  }

  #write() {
    if (this.#file === undefined) return;
    const next = `${this.#file}.next`;
    writeFileSync(next, `${JSON.stringify(this.#content, null, 2)}\n`);
    renameSync(next, this.#file);
  }
}
