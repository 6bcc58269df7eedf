/** Errors of ports that cannot be opened. */

type PortOption = 'httpPort' | 'grpcPort' | 'metricsPort';

const FLAGS: Readonly<Record<PortOption, string>> = {
  httpPort: '--http-port',
  grpcPort: '--grpc-port',
  metricsPort: '--metrics-port',
};

/** Node's text of a failed listen, also within a longer text of grpc-js, which gives neither code nor cause. */
const LISTEN = /listen (E[A-Z]+):[^,\]]*/;

/**
 * Names the option of a port that could not be opened.
 *
 * @returns an error with Node's code, such as EADDRINUSE, EACCES or EADDRNOTAVAIL, where there is one
 */
function portError(option: PortOption, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException;
  const [text = message, own = code] = LISTEN.exec(message) ?? [];
  const error = new Error(`Cannot open \`${option}\` (${FLAGS[option]}): ${text}`, { cause });
  return own === undefined ? error : Object.assign(error, { code: own });
}

/** Awaits the opening of a port. Rejects with an error that names its option and has Node's code. */
export async function opened<T>(option: PortOption, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    throw portError(option, error);
  }
}
