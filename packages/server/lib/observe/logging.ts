import pino, { type Logger } from 'pino';
import type { CheckedOptions } from '../options';

/** The logger of the options: the caller's own, or one that writes JSON lines to standard output. */
export function createLogger(logger: CheckedOptions['logger']): Logger {
  if (typeof logger !== 'string') return logger;
  return pino({ level: logger, base: { service: 'tokenlearner' }, timestamp: pino.stdTimeFunctions.isoTime });
}
