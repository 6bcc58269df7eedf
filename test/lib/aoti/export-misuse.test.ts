/** What python/export.py refuses, before it compiles. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { EXPORT_SCRIPT, evaluateExport, python, whyNot } from './programs';
import { scratch } from './support';

const TIMEOUT_MS = 300_000;

const NETS = `
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn

@dataclass
class Config:
    dim: int = 4

class Net(nn.Module):
    def forward(self, image, mask=None):
        return torch.relu(image)

class Twice(nn.Module):
    def forward(self, x):
        return {"a.b": x * 2, "a": {"b": x + 1}}

net = Net()
twice = Twice()
number = 5

def made(*inputs):
    return lambda: (Net(), *inputs)

batch = torch.randn(2, 3)
config = lambda: (nn.Linear(Config().dim, 2), torch.randn(3, Config().dim))
needs = lambda dim: Net()
wrong = lambda: "no module"
nothing = lambda: ()
four = made(None, None, None)
pair = made((batch, batch))
single = made((torch.randn(1, 3),))
single_bare = made(torch.randn(1, 3))
single_shaped = made((torch.randn(1, 3),), ({0: torch.export.Dim("b")},))
uneven = made((batch, torch.randn(3, 3)))
named = made({"image": batch})
scalar = made((batch, 3))
complex_numbers = made((batch + 0j,))
small_integers = made((batch.to(torch.int8),))
ranged = made((batch,), ({0: torch.export.Dim("b", max=8)},))
`;

describe(whyNot === null ? 'export.py' : `export.py (${whyNot})`, () => {
  const run = whyNot === null ? it : it.skip;
  const { folder } = scratch();
  const file = (name: string) => path.join(folder, name);
  const nets = (name: string) => `${file('nets.py')}:${name}`;
  const out = file('never.pt2');
  beforeAll(() => {
    writeFileSync(file('nets.py'), NETS);
    writeFileSync(file('nets.txt'), '');
    mkdirSync(file('a space'));
  });
  const asUsed = (args: readonly string[], env: NodeJS.ProcessEnv = {}, interpreter = python ?? '') => {
    const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
    const { status, stderr } = spawnSync(interpreter, [EXPORT_SCRIPT, ...args], options);
    return [status, stderr.trim()];
  };

  run(
    'says what is wrong, in the place of compiling it',
    async () => {
      const expected: [args: string[], message: RegExp][] = [
        [[nets('net'), out], /^name the inputs: --input x:float32:3,224,224$/],
        [[nets('missing'), out], /nets\.py has no missing$/],
        [[nets('wrong'), out], /gave str instead of a torch\.nn\.Module$/],
        [[nets('nothing'), out], /gave NoneType instead of a torch\.nn\.Module$/],
        [[nets('four'), out], /gave 4 values instead of the module, example inputs and dynamic_shapes$/],
        [[nets('needs'), out], /:needs cannot be called without arguments: .*'dim'/],
        [[nets('number'), out], /:number cannot be called without arguments/],
        [[nets(''), out], /nets\.py: is not FILE\.py:FUNCTION$/],
        [[`${file('nets.txt')}:net`, out], /nets\.txt:net is not FILE\.py:FUNCTION$/],
        [[`${file('none.py')}:net`, out], /^there is no file .*none\.py$/],
        [['resnet', out], /neither FILE\.py:FUNCTION, timm:NAME nor plain-vit$/],
        [['plain-vit', 'x.so'], /^x\.so does not end in \.pt2, as torch demands$/],
        [['plain-vit', file('none/x.pt2')], /^there is no folder .*none$/],
        [['plain-vit', '--weights', file('none.safetensors'), out], /^there is no file .*none\.safetensors$/],
        [['plain-vit', '--token-learner', file('none.pt'), out], /^there is no file .*none\.pt$/],
        [['plain-vit', '--batch', '1', out], /^--batch must be at least 2: /],
        [['plain-vit', '--batch-max', '1', out], /^--batch-max must be at least 2, /],
        [['plain-vit', '--batch', '8', '--batch-max', '4', out], /^--batch-max must be at least 8, /],
        [['plain-vit', '--pretrained', out], /^--pretrained and --features are for timm:NAME$/],
        [[nets('pair'), '--features', out], /^--pretrained and --features are for timm:NAME$/],
        [[nets('pair'), '--batch', '4', out], /^--input and --batch, and the example inputs .* exclude/],
        [[nets('ranged'), '--batch-max', '4', out], /^--batch-max and the dynamic_shapes .* exclude/],
        [[nets('net'), '--head', 'x', '--input', '3,8,8', out], /^--head needs --token-learner$/],
        [[nets('pair'), '--token-learner', 'x', out], /^--token-learner is for a module with one input$/],
        [[nets('single'), out], /^the batch of the example inputs, .* must be at least 2: /],
        [[nets('single_bare'), out], /^the batch of the example inputs, .* must be at least 2: /],
        [[nets('uneven'), out], /^the example inputs have batches of 2 and 3: /],
        [[nets('named'), out], /gave dict instead of a tuple of example inputs/],
        [[nets('scalar'), out], /^the inputs and outputs of the module must all be tensors/],
        [
          [nets('complex_numbers'), out],
          /^an input has the dtype complex64, which tokenlearner does not have/,
        ],
        [[nets('small_integers'), out], /^an input has the dtype int8, which/],
        [[nets('net'), '--input', 'float8_e4m3fn:3', out], /^an input has the dtype float8_e4m3fn, which/],
        [
          [nets('net'), '--input', '3', '--input', 'image:3', out],
          /^two inputs have one name: image, image$/,
        ],
        [
          [nets('net'), '--input', `${'x'.repeat(257)}:3`, out],
          /^the name of one of the inputs has more than/,
        ],
        [[nets('twice'), '--input', '3', out], /^two outputs have one name: a\.b, a\.b$/],
        [[nets('net'), '--input=-3', out], /^--input -3: the sizes are not whole numbers$/],
        [[nets('net'), '--input', 'x:3,,4', out], /^--input x:3,,4: the sizes are not whole numbers$/],
      ];
      const messages = await evaluateExport(
        folder,
        'def compile(*args, **options): raise RuntimeError("it compiles")',
        'torch._inductor.aoti_compile_and_package = compile',
        'def problem(args):',
        '    try:',
        '        run(parse_arguments(args))',
        '    except Problem as problem:',
        '        return str(problem)',
        '    except Exception as error:',
        '        return f"{type(error).__name__}: {error}"',
        `print(json.dumps([problem(args) for args in json.loads(${JSON.stringify(JSON.stringify(expected.map(([args]) => args)))})]))`,
      );
      expect(messages).toEqual(expected.map(([, message]) => expect.stringMatching(message) as unknown));
    },
    TIMEOUT_MS,
  );

  run(
    'takes one tensor as the only example input, dataclasses, and a batch of 1 with dynamic_shapes',
    async () => {
      const shapes = await evaluateExport(
        folder,
        'def shapes(name):',
        "    _, inputs, *_ = make_module(parse_arguments([f'{sys.argv[2]}/nets.py:{name}', 'x.pt2']))",
        '    return [list(value.shape) for value in inputs]',
        "print(json.dumps([shapes('config'), shapes('single_shaped')]))",
      );
      expect(shapes).toEqual([[[3, 4]], [[1, 3]]]);
    },
    TIMEOUT_MS,
  );

  run(
    'prints one line, also where torch is missing or its folder has a space',
    () => {
      expect(asUsed(['resnet', out])).toEqual([
        1,
        expect.stringMatching(/^export\.py: resnet is neither .*$/),
      ]);
      const space = file('a space');
      for (const env of [{ TORCHINDUCTOR_CACHE_DIR: space }, { TMPDIR: space }])
        expect(asUsed(['plain-vit', out], env)).toEqual([
          1,
          expect.stringMatching(
            /^export\.py: PyTorch compiles in no folder whose name has a space: .*a space/,
          ),
        ]);
      writeFileSync(file('torch.py'), 'raise ModuleNotFoundError("No module named \'torch\'")');
      expect(asUsed(['plain-vit', out], { PYTHONPATH: folder })).toEqual([
        1,
        expect.stringMatching(/^export\.py: .* needs torch 2\.11 or later: No module named 'torch'$/),
      ]);
    },
    TIMEOUT_MS,
  );
});
