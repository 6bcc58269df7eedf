import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';

const SCRIPT = path.join(__dirname, '..', '..', 'python', 'export.py');

/** `tokenlearner export-script`: the Python program that exports PyTorch modules to packages for AotiModel. */
export function exportScriptCommand(): Command {
  return new Command('export-script')
    .description(
      'Print the Python program that exports a PyTorch module to a .pt2 package for AotiModel: save it, or pipe it into python3 -.',
    )
    .option('--path', 'print its path instead', false)
    .action((options: { path: boolean }) => {
      process.stdout.write(options.path ? `${SCRIPT}\n` : readFileSync(SCRIPT, 'utf8'));
    });
}
