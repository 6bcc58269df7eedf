/** `tokenlearner serve`: a server as a process of its own, with its signals. */
import { createServer, type InferenceServer } from './server';
import type { ServerOptions } from './options';
import { createLogger } from './observe/logging';

/**
 * Serves until SIGTERM or SIGINT, then drains. SIGHUP loads the models again. Resolves to the exit code: 0 if every request was finished
 * within the grace period, 1 otherwise. A second SIGTERM or SIGINT ends the grace period.
 */
export async function serve({ logger = 'info', ...options }: ServerOptions): Promise<number> {
  const log = createLogger(logger);
  const server = createServer({ ...options, logger: log });
  const onHup = (): void => {
    void reload(server, log);
  };
  process.on('SIGHUP', onHup);
  const stopped = stopSignal();
  try {
    const listening = server.listen();
    const signal = await Promise.race([listening.then(() => stopped), stopped]);
    log.info({ signal }, 'stopping');
    listening.catch(() => undefined);
    return (await server.close()) ? 0 : 1;
  } finally {
    process.off('SIGHUP', onHup);
  }
}

function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}

async function reload(server: InferenceServer, log: ReturnType<typeof createLogger>): Promise<void> {
  try {
    await server.reload();
    log.info('models loaded again');
  } catch (error) {
    log.error({ err: error }, `The models could not be loaded again: ${(error as Error).message}`);
  }
}
