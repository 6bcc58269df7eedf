/** Bearer tokens. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { TokenLearnerError } from 'tokenlearner';

/** Hashes have one length, so that a comparison takes the same time for every token. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function readTokens(file: string): Buffer[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new TokenLearnerError('ERR_FILE_IO', `The token file cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const tokens = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  if (tokens.length === 0)
    throw new TokenLearnerError('ERR_FILE_FORMAT', `The token file ${file} holds no token`);
  return tokens.map(digest);
}

export class Auth {
  readonly #file: string | undefined;
  #tokens: readonly Buffer[] | undefined;

  /** Throws ERR_FILE_IO, or ERR_FILE_FORMAT for a file without a token. */
  constructor(file: string | undefined) {
    this.#file = file;
    this.read()();
  }

  /** True if requests need a token. */
  get isRequired(): boolean {
    return this.#tokens !== undefined;
  }

  /** Reads the file. Returns what puts its tokens in place of the old ones. Throws as the constructor does. */
  read(): () => void {
    const tokens = this.#file === undefined ? undefined : readTokens(this.#file);
    return () => {
      this.#tokens = tokens;
    };
  }

  /** True if the field's value allows a request: a bearer token, or Basic with a token as the password, as browsers ask for it. */
  allows(authorization: string | undefined): boolean {
    if (this.#tokens === undefined) return true;
    const given = digest(tokenOf(authorization ?? ''));
    // Compares with all, so that the time does not say which one it was.
    return this.#tokens.reduce((found, token) => timingSafeEqual(token, given) || found, false);
  }
}

function tokenOf(authorization: string): string {
  const [, scheme = '', value = ''] = /^(\w+) +(\S+) *$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme.toLowerCase() !== 'basic') return '';
  const pair = Buffer.from(value, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}
