/** A Python client that grpcio-tools generates from the protocol's .proto. Left out where pip does not give it. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Tensor } from 'tokenlearner';
import { CHANNELS, GROUPS, smallModel, start } from './support';

const ROOT = path.resolve(__dirname, '..', '..', '..');
const FOLDER = path.join(ROOT, '.cache', 'server-python');
const PYTHON = path.join(FOLDER, 'venv', 'bin', 'python');
const STUBS = path.join(FOLDER, 'stubs');
const PROTO = path.join(__dirname, '..', 'proto');

/** Makes the environment once. False where that is not possible. */
function prepare(): boolean {
  if (existsSync(path.join(STUBS, 'grpc_predict_v2_pb2_grpc.py'))) return true;
  mkdirSync(STUBS, { recursive: true });
  const generate = [
    '-m',
    'grpc_tools.protoc',
    `-I${PROTO}`,
    `--python_out=${STUBS}`,
    `--grpc_python_out=${STUBS}`,
    'grpc_predict_v2.proto',
  ];
  const steps: [string, string[]][] = [
    ['python3', ['-m', 'venv', path.join(FOLDER, 'venv')]],
    [
      PYTHON,
      [
        '-m',
        'pip',
        'install',
        '-q',
        '--retries',
        '1',
        'grpcio==1.84.0',
        'grpcio-tools==1.84.0',
        'setuptools',
      ],
    ],
    [PYTHON, generate],
  ];
  return steps.every(([program, args]) => spawnSync(program, args, { stdio: 'ignore' }).status === 0);
}

const CLIENT = `
import struct, sys, json
sys.path.insert(0, sys.argv[1])
import grpc, grpc_predict_v2_pb2 as pb, grpc_predict_v2_pb2_grpc as rpc
stub = rpc.GRPCInferenceServiceStub(grpc.insecure_channel(sys.argv[2]))
given = json.load(sys.stdin)
assert stub.ServerLive(pb.ServerLiveRequest()).live and stub.ServerReady(pb.ServerReadyRequest()).ready
assert stub.ModelReady(pb.ModelReadyRequest(name='m')).ready
metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name='m'))
tensor = pb.ModelInferRequest.InferInputTensor(name='input', datatype='FP32', shape=given['shape'])
request = pb.ModelInferRequest(model_name='m', id='7', inputs=[tensor])
request.raw_input_contents.append(struct.pack(f"<{len(given['data'])}f", *given['data']))
raw = stub.ModelInfer(request)
del request.raw_input_contents[:]
request.inputs[0].contents.fp32_contents.extend(given['data'])
typed = stub.ModelInfer(request)
try:
    stub.ModelInfer(pb.ModelInferRequest(model_name='none'))
    code = 'OK'
except grpc.RpcError as error:
    code = error.code().name
decode = lambda answer: list(struct.unpack(f'<{len(answer.raw_output_contents[0]) // 4}f', answer.raw_output_contents[0]))
print(json.dumps({'id': raw.id, 'names': [o.name for o in raw.outputs], 'shape': list(raw.outputs[0].shape), 'raw': decode(raw), 'typed': decode(typed),
                  'inputs': [[i.name, i.datatype, list(i.shape)] for i in metadata.inputs], 'code': code}))
`;

it('works unchanged', async () => {
  if (!prepare()) {
    console.warn('grpcio-tools cannot be had: the Python client is not tested');
    return;
  }
  const model = smallModel();
  const x = Tensor.randn([2, CHANNELS, 3, 4]);
  const server = await start({ models: { m: model } });
  const address = `127.0.0.1:${server.address?.grpcPort ?? 0}`;
  const running = promisify(execFile)(PYTHON, ['-I', '-c', CLIENT, STUBS, address]);
  running.child.stdin?.end(JSON.stringify({ shape: x.shape, data: Array.from(x.data) }));
  const tokens = Array.from(model.forwardSync(x).data);
  expect(JSON.parse((await running).stdout)).toEqual({
    id: '7',
    names: ['tokens'],
    shape: [2, CHANNELS, GROUPS],
    raw: tokens,
    typed: tokens,
    inputs: [['input', 'FP32', [-1, CHANNELS, -1, -1]]],
    code: 'NOT_FOUND',
  });
}, 300_000);
