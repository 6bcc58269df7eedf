/** Parsers of options. A wrong value is wrong usage: commander names the option and the exit code is 2. */
import { InvalidArgumentError } from 'commander';
import { type DeviceOption, isDeviceOption } from '../device';

/** The name of a file or folder. An empty one, as from an unset variable of a shell, would mean the working directory. */
export function fileName(value: string): string {
  if (value === '') throw new InvalidArgumentError('It is empty.');
  return value;
}

export function numberFromZero(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number >= 0 && number < Infinity))
    throw new InvalidArgumentError('It is not a number of at least 0.');
  return number;
}

export function deviceName(value: string): DeviceOption {
  if (!isDeviceOption(value)) throw new InvalidArgumentError('Allowed choices are auto, cpu, cuda, cuda:N.');
  return value;
}
