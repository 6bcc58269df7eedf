/** `warning`: works, but not as well as it could. `failed`: does not work. */
export type Status = 'ok' | 'warning' | 'failed';

/** The result of one check. */
export interface Finding {
  /** Such as 'libtorch'. */
  name: string;
  status: Status;
  /** For people. */
  value: string;
  /** The remedy; null if none is needed. */
  remedy: string | null;
}

export function fine(name: string, value: string): Finding {
  return { name, status: 'ok', value, remedy: null };
}

export function warning(name: string, value: string, remedy: string): Finding {
  return { name, status: 'warning', value, remedy };
}

export function failed(name: string, value: string, remedy: string): Finding {
  return { name, status: 'failed', value, remedy };
}
