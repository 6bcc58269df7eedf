#!/usr/bin/env node
/**
 * The command line. Exit codes: 0 success, 1 failure, 2 wrong usage; 128 and a signal's number where a command ends its work after one.
 */
import { Command, CommanderError } from 'commander';
import { messageOf, TokenLearnerError } from '../errors';
import { ignoreClosedPipes, isClosedPipe, reportFailure } from './closed-pipe';
import { convertCommand } from './convert';
import { doctorCommand } from './doctor';
import { endSoon } from './end-soon';
import { exportScriptCommand } from './export-script';
import { infoCommand } from './info';
import { inspectCommand } from './inspect';
import { refuseRepeats } from './options';
import { runCommand } from './run';
import { runtimeCommand } from './runtime';
import { serveCommand } from './serve';
import { deleteStagedOnSignal } from './staged-on-signal';
import { SilentFailure } from './silent-failure';
import { failUnfinished } from './unfinished';
import { UsageError } from './usage-error';
import { version } from './version';
import { visualizeCommand } from './visualize';

const FAILED = 1;
const MISUSED = 2;

function program(): Command {
  const root = new Command('tokenlearner')
    .description('TokenLearner: a feature map (..., C, H, W) becomes a few learned tokens.')
    .version(version())
    .showHelpAfterError('(add --help for what it takes)');
  root.addCommand(runCommand());
  root.addCommand(visualizeCommand());
  root.addCommand(inspectCommand());
  root.addCommand(convertCommand());
  root.addCommand(exportScriptCommand());
  root.addCommand(infoCommand());
  root.addCommand(serveCommand());
  root.addCommand(runtimeCommand());
  root.addCommand(doctorCommand());
  refuseRepeats(root);
  neverExit(root);
  return root;
}

/** Makes a command and its subcommands throw instead of ending the process. */
function neverExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach(neverExit);
}

/** Formats an error for people: the message and the code, without a stack trace. */
function describe(error: unknown): string {
  if (error instanceof TokenLearnerError) return `${error.message} [${error.code}]`;
  return messageOf(error);
}

/** True if the arguments are wrong: nothing was done. */
function isMisuse(error: unknown): boolean {
  if (error instanceof UsageError) return true;
  return error instanceof TokenLearnerError && error.code === 'ERR_INVALID_ARG_VALUE';
}

/** Runs the command line on `argv` (as `process.argv`) and returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...argv]);
    return 0;
  } catch (error) {
    // Commander has printed its own message. Its exit code for help and version is 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSED;
    if (error instanceof SilentFailure) return error.exitCode;
    if (isClosedPipe(error)) return 0;
    reportFailure(error, describe(error));
    return isMisuse(error) ? MISUSED : FAILED;
  }
}

if (require.main === module) {
  ignoreClosedPipes();
  deleteStagedOnSignal();
  const finished = failUnfinished();
  void main(process.argv).then((code) => {
    finished();
    if (code !== 0) process.exitCode = code;
    endSoon();
  });
}
