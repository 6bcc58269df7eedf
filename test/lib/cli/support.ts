/** What the command line writes, in place of the process's own streams. */
export interface Written {
  out: string;
  errors: string;
}

/** Captures standard output and standard error, each test's own. */
export function captureStreams(): Written {
  const written: Written = { out: '', errors: '' };
  beforeEach(() => {
    Object.assign(written, { out: '', errors: '' });
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written.out += String(text);
      return true;
    });
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written.errors += String(text);
      return true;
    });
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  return written;
}
