/** python/export.py, as users run it, and what its packages are here. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { main as backboneExample } from '../../../examples/backbone';
import {
  AotiModel,
  Flatten,
  Linear,
  manualSeed,
  saveSafetensors,
  Sequential,
  Tensor,
  TokenLearner,
} from '../../../lib';
import { describeAotiPackage, openAotiPackage } from '../../../lib/aoti/package';
import { main as commandLine } from '../../../lib/cli/main';
import { captureStreams } from '../cli/support';
import { EXPORT_SCRIPT as SCRIPT, evaluateExport, python, runPython, torchVersion, whyNot } from './programs';
import { scratch } from './support';

const SERVED = path.resolve(__dirname, '..', '..', '..', 'examples', 'backbone-server.mjs');
const PHOTO = path.resolve(__dirname, '..', '..', '..', 'examples', 'photos', 'coffee.jpg');
/** Two compilations take a minute on a busy machine. */
const TIMEOUT_MS = 600_000;

const NETS = `
import torch
from torch import nn

class Features(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 16, 8, stride=8)
    def forward(self, image):
        return torch.relu(self.conv(image))

class Pair(nn.Module):
    def forward(self, x, other):
        return {"sum": x + other["y"], "parts": (x * 2, [other["y"].argmax(-1)])}

class Noise(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)

class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(3, 1, 1).bfloat16())
    def forward(self, x):
        return x - self.mean

scale = Scale()
relu = nn.ReLU()
features = Features()

def noise():
    return Noise(), (torch.randn(3, 4),)

def mixed():
    return nn.Sequential(nn.Linear(4, 4).to(torch.bfloat16)), (torch.randn(3, 4).to(torch.bfloat16), torch.ones(3).int())

def pair():
    return Pair(), (torch.randn(3, 4), {"y": torch.randn(3, 4)})
`;

describe(whyNot === null ? 'export.py' : `export.py (${whyNot})`, () => {
  const run = whyNot === null ? it : it.skip;
  const { folder } = scratch();
  const file = (name: string) => path.join(folder, name);
  const nets = (name: string) => `${file('nets.py')}:${name}`;
  const batch = { name: 'batch', min: 1, max: undefined };
  beforeAll(() => {
    writeFileSync(file('nets.py'), NETS);
  });

  run(
    'exports a module with its signature, for the chosen processors',
    async () => {
      const out = file('features.pt2');
      const printed = await runPython([
        SCRIPT,
        nets('features'),
        ...['--input', '3,32,32', '--batch-max', '64', '--cpu', 'x86-64-v3', out],
      ]);
      expect(printed).toMatch(/input image: float32 \(batch, 3, 32, 32\)/);
      expect(Number(/relative error to the module: (\S+)/.exec(printed)?.[1])).toBeLessThan(1e-5);
      const opened = await openAotiPackage(out);
      expect([opened.isa, opened.torchVersion]).toEqual(['AVX2', torchVersion]);
      const limited = { ...batch, max: 64 };
      expect(opened.signature).toEqual({
        source: 'metadata',
        inputs: [{ name: 'image', dtype: 'float32', shape: [limited, 3, 32, 32] }],
        outputs: [{ name: 'output', dtype: 'float32', shape: [limited, 16, 4, 4] }],
      });
      jest.spyOn(console, 'log').mockImplementation(() => undefined);
      expect(await backboneExample(out, PHOTO)).toEqual([1, 10]);
      jest.restoreAllMocks();
      const served = `import make from ${JSON.stringify(pathToFileURL(SERVED))};
        import { Tensor } from 'tokenlearner';
        console.log((await (await make()).forward(Tensor.zeros([2, 3, 32, 32]))).shape);`;
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', served], {
        encoding: 'utf8',
        env: { ...process.env, BACKBONE: out },
      });
      expect([stdout, stderr]).toEqual(['[ 2, 10 ]\n', '']);
    },
    TIMEOUT_MS,
  );

  run(
    'names nested inputs and outputs',
    async () => {
      const out = file('pair.pt2');
      await runPython([SCRIPT, nets('pair'), out]);
      const [{ signature } = { signature: undefined }] = await describeAotiPackage(out);
      expect(signature?.inputs.map(({ name, shape }) => [name, shape])).toEqual([
        ['x', [batch, 4]],
        ['other.y', [batch, 4]],
      ]);
      expect(signature?.outputs?.map(({ name, dtype }) => [name, dtype])).toEqual([
        ['sum', 'float32'],
        ['parts.0', 'float32'],
        ['parts.1.0', 'int64'],
      ]);
    },
    TIMEOUT_MS,
  );

  run(
    'exports backbone, TokenLearner and head as one program, with the numbers of the parts here',
    async () => {
      manualSeed(0);
      const learner = new TokenLearner({ dim: 16, numOutputTokens: 4 });
      const head = new Linear(64, 5);
      const backbone = await AotiModel.load(file('features.pt2'), { trusted: true });
      const parts = new Sequential(backbone, learner, new Flatten(), head);
      const weights = Object.fromEntries([
        ...Object.entries(learner.stateDict()).map(([name, value]) => [`1.${name}`, value]),
        ...Object.entries(head.stateDict()).map(([name, value]) => [`3.${name}`, value]),
      ]) as Record<string, Tensor>;
      await saveSafetensors(file('weights.safetensors'), weights);
      const out = file('whole.pt2');
      const own = ['--token-learner', file('weights.safetensors'), '--head', file('weights.safetensors')];
      const printed = await runPython([SCRIPT, nets('features'), '--input', '3,32,32', ...own, out]);
      expect(printed).toMatch(/input image: float32 \(batch, 3, 32, 32\)/);
      const whole = await AotiModel.load(out, { trusted: true });
      const x = Tensor.randn([5, 3, 32, 32]);
      const [actual, expected] = [await parts.forward(x), await whole.forward(x)];
      expect(actual.shape).toEqual([5, 5]);
      expect(actual.allClose(expected, { rtol: 1e-5, atol: 1e-6 })).toBe(true);
    },
    TIMEOUT_MS,
  );

  const evaluate = async (...lines: string[]) => evaluateExport(folder, ...lines);

  run(
    'keeps the smallest size that was declared, and never takes a batch of 0',
    async () => {
      const minima = await evaluate(
        'def smallest(dim):',
        '    program = torch.export.export(nn.ReLU(), (torch.randn(4, 4),), dynamic_shapes=({0: dim},))',
        "    return signature(program, ['x'])['inputs'][0]['shape'][0]['min']",
        'dim, auto = torch.export.Dim, torch.export.Dim.AUTO',
        "dims = [dim('b'), *(dim('b', min=least) for least in range(4)), auto]",
        'print(json.dumps([smallest(each) for each in dims]))',
      );
      expect(minima).toEqual([1, 1, 1, 2, 3, 2]);
    },
    TIMEOUT_MS,
  );

  run(
    'compares all outputs, and refuses a NaN or an infinity that the module does not give',
    async () => {
      const errors = await evaluate(
        'inf, nan = math.inf, math.nan',
        'pairs = [([1, 2], [1, 2]), ([1, nan], [1, 2]), ([1, 2], [1, nan]), ([1, nan], [1, nan]), ([1, inf], [1, -inf]), ([4, 3, inf], [0, 3, inf])]',
        'errors = [relative_error(torch.tensor(a), torch.tensor(b)) for a, b in pairs]',
        'print(json.dumps([error if math.isfinite(error) else str(error) for error in errors]))',
      );
      expect(errors).toEqual([0, 'inf', 'inf', 0, 'inf', 4 / 3]);
      const { status, stderr } = spawnSync(python ?? '', [SCRIPT, nets('noise'), file('noise.pt2')], {
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(
          /noise\.pt2 is written, but its outputs are not the module's: relative error .*--no-check/,
        ),
      ]);
    },
    TIMEOUT_MS,
  );

  run(
    'converts a module and its float inputs where --dtype asks for it, and nothing otherwise',
    async () => {
      const dtypes = await evaluate(
        'def dtypes(*options):',
        "    module, inputs, *_ = make_module(parse_arguments([*options, 'x.pt2']))",
        '    return [dtype_name(value) for value in (*module.parameters(), *inputs)]',
        `nets = sys.argv[2] + '/nets.py:'`,
        "print(json.dumps([dtypes(nets + 'mixed'), dtypes(nets + 'mixed', '--dtype', 'float64'), dtypes(nets + 'features', '--input', '3,8,8', '--dtype', 'float16')]))",
      );
      expect(dtypes).toEqual([
        ['bfloat16', 'bfloat16', 'bfloat16', 'int32'],
        ['float64', 'float64', 'float64', 'int32'],
        ['float16', 'float16', 'float16'],
      ]);
    },
    TIMEOUT_MS,
  );

  run(
    'gives inputs, and a TokenLearner, the dtype of --dtype or of a buffer where the module has no parameters',
    async () => {
      const learner = new TokenLearner({ dim: 3, device: 'cpu' });
      await saveSafetensors(file('three.safetensors'), learner.stateDict());
      const dtypes = await evaluate(
        'def dtypes(name, *options):',
        `    base = [sys.argv[2] + '/nets.py:' + name, '--input', '3,8,8', '--token-learner', sys.argv[2] + '/three.safetensors']`,
        "    parsed = parse_arguments([*base, *options, 'x.pt2'])",
        '    module, (image,), *_ = make_module(parsed)',
        '    whole = add_learner(module, parsed)',
        '    return [dtype_name(image), dtype_name(next(whole.parameters()))]',
        "print(json.dumps([dtypes('scale'), dtypes('scale', '--dtype', 'float16'), dtypes('relu'), dtypes('relu', '--dtype', 'float16')]))",
      );
      expect(dtypes).toEqual([
        ['bfloat16', 'bfloat16'],
        ['float16', 'float16'],
        ['float32', 'float32'],
        ['float16', 'float16'],
      ]);
    },
    TIMEOUT_MS,
  );

  run(
    'reads integers of a safetensors file',
    async () => {
      const dict = { a: Tensor.from([1, 2], { dtype: 'int32' }), b: Tensor.from([3], { dtype: 'uint8' }) };
      await saveSafetensors(file('integers.safetensors'), dict);
      const read = await evaluate(
        "state = load_state_dict(sys.argv[2] + '/integers.safetensors')",
        'print(json.dumps({name: [dtype_name(value), value.tolist()] for name, value in state.items()}))',
      );
      expect(read).toEqual({ a: ['int32', [1, 2]], b: ['uint8', [3]] });
    },
    TIMEOUT_MS,
  );
});

describe('the command line', () => {
  const written = captureStreams();
  const run = (...args: string[]) => commandLine(['node', 'tokenlearner', ...args]);

  it('prints export.py, or its path', async () => {
    expect(await run('export-script')).toBe(0);
    expect(written.out).toBe(readFileSync(SCRIPT, 'utf8'));
    written.out = '';
    expect(await run('export-script', '--path')).toBe(0);
    expect(written.out).toBe(`${SCRIPT}\n`);
  });
});
