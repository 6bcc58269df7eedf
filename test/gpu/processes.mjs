/** Faults that need processes of their own: exits at every stage, and a device that is lost. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MODULE = new URL('../../dist/index.mjs', import.meta.url).href;

/** carry.mjs puts it there. */
const TRAP = fileURLToPath(new URL('../../bin/cuda-trap.so', import.meta.url));

const LONGEST_MS = 120_000;

/** The start of every script. */
const head = (device) => `
  import { Batcher, Tensor, TokenLearner } from ${JSON.stringify(MODULE)};
  const device = ${JSON.stringify(device)};
  const make = () => new TokenLearner({ dim: 64, device });
  const x = Tensor.randn([8, 64, 64, 64]);
`;

/** Runs a script; resolves to {code, signal, output}. */
function runScript(device, source) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', head(device) + source], {
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.on('close', (code, signal) => resolve({ code, signal, output: output.trim() }));
  });
}

/** Where a process ends, and with which code. */
const STAGES = [
  ['after the import', 'process.exit(0);', 0],
  ['with a model', 'make(); process.exit(0);', 0],
  ['after a forward', 'await make().forward(x);', 0],
  ['after a forward, with tensors on the GPU', 'globalThis.kept = await make().forward(x.to(device));', 0],
  ['during a forward', 'void make().forward(x); process.exit(0);', 0],
  ['during the first forward of a model', 'void make().forward(x); setTimeout(() => process.exit(0), 1);', 0],
  [
    'during many forwards',
    'const m = make(); for (let i = 0; i < 50; i++) void m.forward(x); process.exit(3);',
    3,
  ],
  [
    'when all promises are left alone',
    'const m = make(); for (let i = 0; i < 50; i++) void m.forward(x);',
    0,
  ],
  [
    'during batches',
    'const b = new Batcher(make()); for (let i = 0; i < 50; i++) void b.forward(x); process.exit(0);',
    0,
  ],
  ['by an exception during a forward', "void make().forward(x); throw new Error('on purpose');", 1],
  [
    'when everything is disposed',
    'const m = make(); const y = await m.forward(x); y.dispose(); x.dispose(); m.dispose();',
    0,
  ],
];

export async function checkExits(check, device) {
  const runs = await Promise.all(STAGES.map(([, source]) => runScript(device, source)));
  for (const [i, { code, signal, output }] of runs.entries()) {
    const [name, , expected] = STAGES[i];
    check(
      `a process exits ${name}`,
      code === expected && signal === null,
      `${signal ?? code} ${output.slice(0, 300)}`,
    );
  }
}

/** The script of a process that loses its device. It prints a line of JSON. */
const lost = (library) => `
  const codeOf = async (run) => { try { await run(); return 'none'; } catch (error) { return error.code ?? String(error); } };
  const small = Tensor.randn([1, 64, 4, 4]);
  const model = make();
  const before = await model.forward(small);
  const onDevice = small.to(device);
  const replicas = new Batcher(new TokenLearner({ dim: 64, device: 'cpu' }), { devices: [device, 'cpu'] });
  await replicas.forward(small);
  const idle = make();
  try { process.dlopen({ exports: {} }, ${JSON.stringify(library)}); } catch { /* it is no addon */ }
  const first = await codeOf(() => model.forward(small));
  const second = await codeOf(() => model.forward(small));
  const other = await codeOf(() => idle.forward(small));
  const copy = await codeOf(() => onDevice.to('cpu'));
  const fresh = await codeOf(() => make().forward(small));
  const overs = [];
  for (let i = 0; i < 8; i++) overs.push(await codeOf(() => replicas.forward(small)));
  const cpu = new TokenLearner({ dim: 64, device: 'cpu' });
  const onCpu = (await cpu.forward(small)).shape.join();
  await replicas.close();
  console.log(JSON.stringify({ first, second, other, copy, fresh, overs: [...new Set(overs)], onCpu, kept: before.shape.join() }));
`;

export async function checkLostDevice(check, device) {
  if (!existsSync(TRAP)) throw new Error(`${TRAP} is missing`);
  const { code, signal, output } = await runScript(device, lost(TRAP));
  const last = output.split('\n').at(-1);
  const found = last.startsWith('{') ? JSON.parse(last) : {};
  const gone = ['first', 'second', 'other', 'copy', 'fresh'].filter(
    (name) => found[name] !== 'ERR_DEVICE_LOST',
  );
  check('a lost device: every use of it is ERR_DEVICE_LOST', gone.length === 0, last.slice(0, 500));
  check(
    "a lost device: a batcher's other device takes over",
    found.overs?.join() === 'none',
    found.overs?.join(),
  );
  check(
    'a lost device: the CPU works, and results are kept',
    found.onCpu === '1,64,8' && found.kept === '1,64,8',
  );
  check('a lost device: the process exits as usual', code === 0 && signal === null, String(signal ?? code));
}
