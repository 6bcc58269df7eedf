/** `tokenlearner serve`: a server as a process of its own, with its signals. */
import { setLogger } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { createServer, type InferenceServer } from './server';
import type { ServerOptions } from './options';
import { createLogger } from './observe/logging';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Serves until SIGTERM or SIGINT, then drains. SIGHUP loads the models again. Resolves to the exit code: 0 if every request was finished
 * within the grace period, 1 otherwise. A second one of these two signals ends the grace period.
 */
export async function serve({ logger = 'info', ...options }: ServerOptions): Promise<number> {
  const log = createLogger(logger);
  setLogger(grpcLogger(log));
  const server = createServer({ ...options, logger: log });
  const onHup = (): void => {
    void reload(server, log);
  };
  process.on('SIGHUP', onHup);
  let stop: (signal: NodeJS.Signals) => void = () => undefined;
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    stop = resolve;
  });
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1;
    if (signals === 1) stop(signal);
    else void server.close({ gracePeriodMs: 0 });
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  try {
    const listening = server.listen();
    const signal = await Promise.race([listening.then(() => stopped), stopped]);
    log.info({ signal }, 'stopping');
    listening.catch(() => undefined);
    return (await server.close()) ? 0 : 1;
  } finally {
    process.off('SIGHUP', onHup);
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
  }
}

/** What grpc-js would write to standard error goes into the log. */
function grpcLogger(log: Logger): Partial<Console> {
  const child = log.child({ part: 'grpc-js' });
  const write =
    (level: 'warn' | 'info' | 'debug') =>
    (...words: unknown[]) => {
      child[level](words.join(' '));
    };
  // Its errors are not the server's: it goes on, or says so itself.
  return { error: write('warn'), info: write('info'), debug: write('debug') };
}

async function reload(server: InferenceServer, log: Logger): Promise<void> {
  try {
    await server.reload();
    log.info('models loaded again');
  } catch (error) {
    log.error({ err: error }, `The models could not be loaded again: ${(error as Error).message}`);
  }
}
