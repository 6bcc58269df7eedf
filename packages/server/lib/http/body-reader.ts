/**
 * Takes a request's body chunk by chunk: JSON first, then binary data. Each chunk of the latter is copied once, into the memory where it
 * belongs; the body is never assembled.
 */
import { invalid, Problem } from '../problem';

/** Called with the JSON; returns the memory that the bytes after it fill, in order. */
export type OnJson = (json: Buffer) => readonly Buffer[];

/** Called with the bytes of JSON so far, before they are kept. What it throws ends the body. */
export type OnJsonBytes = (bytes: number) => void;

export interface BodyLimits {
  maxRequestBytes: number;
  maxJsonBytes: number;
}

export class BodyReader {
  /** The bytes of JSON before the binary data; undefined if all of the body is JSON. */
  readonly #jsonBytes: number | undefined;
  readonly #limits: BodyLimits;
  readonly #onJson: OnJson;
  readonly #onJsonBytes: OnJsonBytes;
  /** The parts of the JSON that have arrived; null once it is complete. */
  #json: Buffer[] | null = [];
  #jsonReceived = 0;
  #received = 0;
  #targets: readonly Buffer[] = [];
  #target = 0;
  #filled = 0;

  constructor(jsonBytes: number | undefined, limits: BodyLimits, onJson: OnJson, onJsonBytes: OnJsonBytes) {
    this.#jsonBytes = jsonBytes;
    this.#limits = limits;
    this.#onJson = onJson;
    this.#onJsonBytes = onJsonBytes;
    if ((jsonBytes ?? 0) > limits.maxJsonBytes) throw tooMuchJson(limits);
    if (jsonBytes === 0) this.#completeJson();
  }

  /** Takes the next chunk. Returns true if its memory is not needed any more. Throws a Problem. */
  push(chunk: Buffer): boolean {
    const isBinary = this.#json === null;
    this.#received += chunk.length;
    if (this.#received > this.#limits.maxRequestBytes)
      throw new Problem('too-large', `The request is larger than ${this.#limits.maxRequestBytes} bytes`);
    const rest = this.#json === null ? chunk : this.#takeJson(chunk);
    if (rest.length > 0) this.#takeBinary(rest);
    return isBinary;
  }

  /** Throws a Problem if the body ends too early. */
  end(): void {
    if (this.#json !== null && this.#jsonBytes === undefined) this.#completeJson();
    if (this.#json !== null)
      throw invalid(`Expected ${this.#jsonBytes ?? 0} bytes of JSON but the body has ${this.#received}`);
    const missing = this.#targets
      .slice(this.#target)
      .reduce((sum, { length }) => sum + length, -this.#filled);
    if (missing > 0) throw invalid(`The body ends ${missing} bytes before its binary data is complete`);
  }

  /** Returns what follows the JSON. */
  #takeJson(chunk: Buffer): Buffer {
    const wanted = this.#jsonBytes === undefined ? chunk.length : this.#jsonBytes - this.#jsonReceived;
    const part = chunk.subarray(0, wanted);
    this.#jsonReceived += part.length;
    if (this.#jsonReceived > this.#limits.maxJsonBytes) throw tooMuchJson(this.#limits);
    this.#onJsonBytes(this.#jsonReceived);
    this.#json?.push(part);
    if (this.#jsonReceived === this.#jsonBytes) this.#completeJson();
    return chunk.subarray(part.length);
  }

  #completeJson(): void {
    const parts = this.#json ?? [];
    this.#json = null;
    const [first] = parts;
    this.#targets = this.#onJson(parts.length === 1 && first ? first : Buffer.concat(parts));
  }

  #takeBinary(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      const target = this.#targets[this.#target];
      if (target === undefined)
        throw invalid(`The body goes on after its binary data, by at least ${chunk.length - from} bytes`);
      const copied = chunk.copy(target, this.#filled, from);
      from += copied;
      this.#filled += copied;
      if (this.#filled < target.length) continue;
      this.#target += 1;
      this.#filled = 0;
    }
  }
}

function tooMuchJson({ maxJsonBytes }: BodyLimits): Problem {
  return new Problem('too-large', `The JSON of the request is larger than ${maxJsonBytes} bytes`);
}
