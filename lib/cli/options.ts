/** Parsers of options. A wrong value is wrong usage: commander names the option and the exit code is 2. */
import { type Command, InvalidArgumentError, type Option } from 'commander';
import { type DeviceOption, isDeviceOption } from '../device';
import { STANDARD } from './output';
import { UsageError } from './usage-error';

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

/** Adds a name to those of the same option before it. */
export function fileNames(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), fileName(value)];
}

export function deviceName(value: string): DeviceOption {
  if (!isDeviceOption(value)) throw new InvalidArgumentError('Allowed choices are auto, cpu, cuda, cuda:N.');
  return value;
}

/**
 * A file to load: a path, or standard input for `-`. A terminal is refused, since it has no binary data.
 *
 * @param what - the option or argument, as the user typed it: '--input -'
 */
export function inputFile(file: string, what: string): string | NodeJS.ReadStream {
  if (file !== STANDARD) return file;
  if (process.stdin.isTTY)
    throw new UsageError(`${what} needs a file or a pipe on standard input, which is a terminal`);
  return process.stdin;
}

/**
 * Refuses a second value for an option that takes one, and an option with its opposite, such as --animate and --no-animate, on a command and those under
 * it: the first would be ignored.
 */
export function refuseRepeats(command: Command): void {
  const given = new Map<string, Option>();
  for (const option of command.options) {
    // A parser of ours with two parameters collects the values.
    const collects =
      option.variadic || (option.argChoices === undefined && (option.parseArg?.length ?? 0) > 1);
    if (collects) continue;
    const takesValue = option.required || option.optional;
    command.on(`option:${option.name()}`, () => {
      const before = given.get(option.attributeName());
      given.set(option.attributeName(), option);
      if (before === option && takesValue)
        command.error(`error: option '${option.flags}' was given more than once`);
      if (before !== undefined && before !== option)
        command.error(`error: option '${option.flags}' does not go with '${before.flags}'`);
    });
  }
  command.commands.forEach(refuseRepeats);
}

/** A whole number of at least 1. */
export function positive(value: string): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && Number.isSafeInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError('It is not a whole number of at least 1.');
}
