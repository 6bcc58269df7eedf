/** `warning`: it works, but not as well as it could. `failed`: it does not work. */
export type Status = 'ok' | 'warning' | 'failed';

/** One thing that was looked at. */
export interface Finding {
  /** Such as 'libtorch'. */
  name: string;
  status: Status;
  /** What was found. */
  value: string;
  /** What mends it; null when nothing needs to be. */
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
