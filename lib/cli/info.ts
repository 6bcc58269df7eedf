import { Command } from 'commander';
import { runtime } from '../index';

type RuntimeInfo = ReturnType<typeof runtime.info>;

function describeLibtorch({ state, version, path }: RuntimeInfo['libtorch']): string {
  if (path === null) return 'not found';
  return `${version ?? 'unknown version'} at ${path}${state === 'found' ? ' (not loaded)' : ''}`;
}

function rows(info: RuntimeInfo): [string, string][] {
  const libtorch = info.libtorch;
  const devices = info.devices.map((device) => (typeof device === 'string' ? device : device.name));
  return [
    ['tokenlearner', info.version],
    ['Node', `${info.node} (${info.platform})`],
    ['addon', info.addon === null ? 'not found' : info.addon.path],
    ['libtorch', describeLibtorch(libtorch)],
    ['devices', devices.join(', ')],
    [
      'CUDA',
      info.cuda.available
        ? 'available'
        : `not available: ${info.cuda.detail ?? info.cuda.reason ?? 'unknown'}`,
    ],
    ['CPU kernels', info.cpu?.isa ?? 'unknown'],
    ['threads', `${info.threads}${info.threadsReason === null ? '' : ` (${info.threadsReason})`}`],
  ];
}

/** `tokenlearner info`: describes this installation. */
export function infoCommand(): Command {
  return new Command('info')
    .description('Show versions, libtorch, devices, and why a GPU is not used.')
    .option('--json', 'print runtime.info() as JSON', false)
    .action((options: { json: boolean }) => {
      const info = runtime.info();
      const text = options.json
        ? JSON.stringify(info, null, 2)
        : rows(info)
            .map(([name, value]) => `${name.padEnd(14)}${value}`)
            .join('\n');
      process.stdout.write(`${text}\n`);
    });
}
