/** Parsers of options. A wrong value is wrong usage: commander names the option and the exit code is 2. */
import { InvalidArgumentError } from 'commander';
import { type DeviceOption, isDeviceOption } from '../device';

/** The name of a file or folder. An empty one, as from an unset variable of a shell, would mean the working directory. */
export function fileName(value: string): string {
  if (value === '') throw new InvalidArgumentError('It is empty.');
  return value;
}

/** Adds a name to those of the same option before it. */
export function fileNames(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), fileName(value)];
}

export function deviceName(value: string): DeviceOption {
  if (!isDeviceOption(value)) throw new InvalidArgumentError('Allowed choices are auto, cpu, cuda, cuda:N.');
  return value;
}

/** A whole number of at least 1. */
export function positive(value: string): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && Number.isSafeInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError('It is not a whole number of at least 1.');
}
