/** The progress of a run over many files. */
import type { ProgressStream } from '../../libtorch/progress';

/** A stream for progress, with the width of its terminal. */
interface TerminalStream extends ProgressStream {
  columns?: number;
}

export interface Counts {
  /** Files in all. */
  total: number;
  written: number;
  skipped: number;
  failed: number;
}

const BAR_WIDTH = 24;
/** Milliseconds between two repaints of the bar. */
const REPAINT = 100;
const [MINUTE, HOUR] = [60, 3600];

/** A time for people, such as 8 s, 3 min 20 s, 2 h 5 min. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE) return `${whole} s`;
  // Minutes are rounded first, so that none is the 60th.
  const minutes = Math.round(whole / MINUTE);
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Files that are done, whatever their end. */
export function doneOf({ written, skipped, failed }: Counts): number {
  return written + skipped + failed;
}

/**
 * Shows progress: on a terminal as one line that is repainted, elsewhere as a line for every tenth. The rate, and the time left, are
 * those of the files that ran: skipped ones take no time.
 */
export class RunProgress {
  readonly #stream: TerminalStream;
  readonly #now: () => number;
  readonly #started: number;
  #painted = -Infinity;
  #tenth = 0;
  #isOpen = false;

  constructor(stream: TerminalStream, now: () => number = performance.now.bind(performance)) {
    this.#stream = stream;
    this.#now = now;
    this.#started = now();
  }

  show(counts: Counts): void {
    const done = doneOf(counts);
    const share = counts.total === 0 ? 1 : done / counts.total;
    if (this.#stream.isTTY === true) {
      if (share < 1 && this.#now() - this.#painted < REPAINT) return;
      this.#painted = this.#now();
      this.#isOpen = share < 1;
      this.#stream.write(`\r${this.#line(counts, share)}\u001b[K${this.#isOpen ? '' : '\n'}`);
      return;
    }
    const tenth = Math.floor(10 * share);
    if (tenth === this.#tenth) return;
    this.#tenth = tenth;
    this.#stream.write(`${this.#text(counts)}\n`);
  }

  /** Ends the line of an unfinished bar, so that messages get lines of their own. */
  end(): void {
    if (this.#isOpen) this.#stream.write('\n');
    this.#isOpen = false;
  }

  /** A line that is narrower than the terminal, since a wrapped one cannot be repainted: without the bar, or cut, where there is no room. */
  #line(counts: Counts, share: number): string {
    const filled = Math.floor(BAR_WIDTH * share);
    const bar = '#'.repeat(filled) + '-'.repeat(BAR_WIDTH - filled);
    const text = this.#text(counts);
    const whole = `[${bar}] ${text}`;
    const room = (this.#stream.columns ?? Infinity) - 1;
    return whole.length <= room ? whole : text.slice(0, Math.max(room, 0));
  }

  #text(counts: Counts): string {
    const done = doneOf(counts);
    const seconds = (this.#now() - this.#started) / 1000;
    const ran = done - counts.skipped;
    const rate = seconds > 0 ? ran / seconds : 0;
    const left = rate > 0 && done < counts.total ? `, ${duration((counts.total - done) / rate)} left` : '';
    const failed = counts.failed > 0 ? `, ${counts.failed} failed` : '';
    const percent = counts.total === 0 ? 100 : Math.floor((100 * done) / counts.total);
    return `${percent} %  ${done} of ${counts.total} files${failed}, ${rate.toFixed(1)} files/s${left}`;
  }
}
