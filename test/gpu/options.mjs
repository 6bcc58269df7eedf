/** The command line of check.mjs. */
import { parseArgs } from 'node:util';
import { chooseRows } from './workloads.mjs';

export const USAGE = `npm run test:gpu -- [OPTION]...

  --parity, --faults, --server, --programs, --bench
                                only these (default: all)
  --output FILE                 the results, as JSON, written again after each of them
  --only A,B                    bench: only these workloads of test/bench/workloads.json
  --modes A,B                   bench: only these of float32, tf32, bfloat16, float16
  --no-compile                  bench: without torch.compile, which takes minutes for each row
  --time-limit SECONDS          bench: begin no row later than this
  --python PROGRAM              programs, bench: a Python with torch (default: python3)
  --seed N                      parity: of the random weights and inputs (default: 0)
  --device cuda|cpu             cpu: a trial of this program on a machine without a GPU`;

const PARTS = ['parity', 'faults', 'server', 'programs', 'bench'];
const DEVICES = ['cuda', 'cpu'];

/** {parity, faults, server, programs, bench, output, rows, compile, seconds, python, seed, device}; throws an error that says what is wrong. */
export function parseOptions(args) {
  const flag = { type: 'boolean', default: false };
  const string = { type: 'string' };
  const { values } = parseArgs({
    args,
    options: {
      ...Object.fromEntries(PARTS.map((part) => [part, flag])),
      output: string,
      only: string,
      modes: string,
      'no-compile': flag,
      'time-limit': string,
      python: { ...string, default: 'python3' },
      seed: { ...string, default: '0' },
      device: { ...string, default: 'cuda' },
    },
  });
  const { output, python, device } = values;
  if (!DEVICES.includes(device))
    throw new RangeError(`Expected cuda or cpu for --device but received ${device}`);
  const all = !PARTS.some((part) => values[part]);
  return {
    ...Object.fromEntries(PARTS.map((part) => [part, all || values[part]])),
    output,
    rows: chooseRows({ only: values.only?.split(','), modes: values.modes?.split(',') }),
    compile: !values['no-compile'],
    seconds: values['time-limit'] === undefined ? Infinity : natural('time-limit', values['time-limit']),
    python,
    seed: natural('seed', values.seed),
    device,
  };
}

function natural(name, text) {
  if (/^\d+$/.test(text)) return Number(text);
  throw new RangeError(`Expected an integer of at least 0 for --${name} but received ${text}`);
}
