/** The progress of a step of an install. */
export interface Progress {
  phase: 'download' | 'unpack';
  /** Bytes. */
  done: number;
  /** Bytes. */
  total: number;
}

export type OnProgress = (progress: Progress) => void;

/** The parts of a stream such as `process.stderr` that the renderer uses. */
export interface ProgressStream {
  isTTY?: boolean;
  write(text: string): unknown;
}

const VERBS = { download: 'Downloading', unpack: 'Unpacking' };
const BAR_WIDTH = 24;
/** Milliseconds between two repaints of the bar. */
const REPAINT = 100;

/**
 * Shows progress: on a terminal as one line that is repainted, elsewhere as one line for every tenth, so that a log stays short.
 */
export function progressRenderer(stream: ProgressStream, now: () => number = Date.now): OnProgress {
  let painted = -Infinity;
  let lastTenth = -1;
  let phase: Progress['phase'] | null = null;
  let start = { time: 0, done: 0 };
  return (progress) => {
    const { done, total } = progress;
    if (progress.phase !== phase) {
      phase = progress.phase;
      start = { time: now(), done };
      painted = -Infinity;
      lastTenth = -1;
    }
    const complete = done >= total;
    if (stream.isTTY === true) {
      if (!complete && now() - painted < REPAINT) return;
      painted = now();
      stream.write(`\r${line(progress, start, now())}\u001b[K${complete ? '\n' : ''}`);
      return;
    }
    const tenth = Math.floor((done / total) * 10);
    if (tenth === lastTenth) return;
    lastTenth = tenth;
    stream.write(
      `${VERBS[phase]} libtorch: ${percent(done, total)}, ${megabytes(done)} of ${megabytes(total)}\n`,
    );
  };
}

function line({ phase, done, total }: Progress, start: { time: number; done: number }, now: number): string {
  const filled = Math.round(BAR_WIDTH * Math.min(1, done / total));
  const bar = '#'.repeat(filled) + '-'.repeat(BAR_WIDTH - filled);
  const seconds = (now - start.time) / 1000;
  const rate = seconds > 0 ? ` ${megabytes((done - start.done) / seconds)}/s` : '';
  return `${VERBS[phase]} libtorch [${bar}] ${percent(done, total)}  ${megabytes(done)} of ${megabytes(total)}${rate}`;
}

function percent(done: number, total: number): string {
  return `${Math.floor((100 * done) / total)} %`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
