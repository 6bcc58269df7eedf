/** The numbers of test/fixtures/generate/lcg.py: see there. */
export class Lcg {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A multiple of 2^-23 in [-1, 1). */
  draw(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return (this.#state >>> 8) * 2 ** -23 - 1;
  }

  /** `count` numbers, scaled, plus an offset. Without an offset they are exact in float32 for scales that are powers of two. */
  float32(count: number, scale: number, offset = 0): Float32Array {
    return Float32Array.from({ length: count }, () => this.draw() * scale + offset);
  }

  /** The same with 48 bits a number. */
  float64(count: number, scale: number, offset = 0): Float64Array {
    return Float64Array.from({ length: count }, () => {
      const high = this.draw();
      return (high + this.draw() * 2 ** -24) * scale + offset;
    });
  }
}
