/** Clients of the contenders. Each gives `send()`: resolves to 'answered', 'rejected' or 'failed', never rejects. */
import path from 'node:path';
import { createRequire } from 'node:module';
import { Pool } from 'undici';
import { root } from '../../../scripts/tools.mjs';

const BUSY = new Set([429, 503, 504]);
/** RESOURCE_EXHAUSTED, UNAVAILABLE, DEADLINE_EXCEEDED. */
const GRPC_BUSY = new Set([8, 14, 4]);

function outcomeOf(status) {
  return status === 200 ? 'answered' : BUSY.has(status) ? 'rejected' : 'failed';
}

function http({ port, connections }, request) {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections, pipelining: 1 });
  return {
    async send() {
      try {
        const { statusCode, body } = await pool.request({ method: 'POST', ...request });
        await body.dump();
        return outcomeOf(statusCode);
      } catch {
        return 'failed';
      }
    },
    close: () => pool.close(),
  };
}

const PATH = '/v2/models/m/infer';
const bytesOf = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

const CLIENTS = {
  /** The elements alone: for contenders that are no server by themselves. */
  raw: (server, { values }) => http(server, { path: '/', body: bytesOf(values) }),
  json: (server, { values, shape }) =>
    http(server, {
      path: PATH,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        inputs: [{ name: 'input', datatype: 'FP32', shape, data: Array.from(values) }],
      }),
    }),
  binary: (server, { values, shape }) => {
    const parameters = { binary_data_size: values.byteLength };
    const head = JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [{ name: 'input', datatype: 'FP32', shape, parameters }],
    });
    return http(server, {
      path: PATH,
      headers: {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': String(Buffer.byteLength(head)),
      },
      body: Buffer.concat([Buffer.from(head), bytesOf(values)]),
    });
  },
  grpc: ({ grpcPort }, { values, shape }) => {
    const require = createRequire(path.join(root, 'packages', 'server', 'package.json'));
    const grpc = require('@grpc/grpc-js');
    const { loadSync } = require('@grpc/proto-loader');
    const definition = loadSync(path.join(root, 'packages', 'server', 'proto', 'grpc_predict_v2.proto'), {
      keepCase: true,
    });
    const { GRPCInferenceService: Service } = grpc.loadPackageDefinition(definition).inference;
    const client = new Service(`127.0.0.1:${grpcPort}`, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    });
    const message = {
      model_name: 'm',
      inputs: [{ name: 'input', datatype: 'FP32', shape }],
      raw_input_contents: [bytesOf(values)],
    };
    return {
      send: () =>
        new Promise((resolve) => {
          client.ModelInfer(message, (error) => {
            resolve(error === null ? 'answered' : GRPC_BUSY.has(error.code) ? 'rejected' : 'failed');
          });
        }),
      close: () => client.close(),
    };
  },
};

/** @param server - {port, grpcPort, connections}; @param input - {values, shape}. */
export function createClient(protocol, server, input) {
  return CLIENTS[protocol](server, input);
}
