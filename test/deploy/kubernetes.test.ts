/** The manifests for Kubernetes and KServe against the server: its arguments, its probes, its time to drain. */
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import path from 'node:path';
import { distrustPath } from '../../lib/libtorch/trust';
import { version } from '../../package.json';
import { at, document, documents, type Manifest } from './manifests';
import { serveHere, startServer, TOKEN, volumes } from './server';

const deployment = document('kubernetes/deployment.yaml');
const pod = at(deployment, 'spec.template.spec') as Manifest;
const container = at(pod, 'containers.0') as Manifest;
const args = container.args as string[];
const probes = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const;

let folder: string;
beforeAll(async () => {
  folder = await volumes();
});

it('the server takes the arguments of the deployment, and its probes answer without a token', async () => {
  const server = await startServer(
    serveHere(args, { '/models': `${folder}/models`, '/etc/tokenlearner/tokens': `${folder}/tokens` }),
  );
  for (const probe of probes) {
    const url = at(container, `${probe}.httpGet.path`) as string;
    const { status } = await fetch(server.url + url);
    expect([probe, status]).toEqual([probe, 200]);
  }
  const model = `${server.url}/v2/models/model`;
  expect((await fetch(model)).status).toBe(401);
  expect((await fetch(model, { headers: { Authorization: `Bearer ${TOKEN}` } })).status).toBe(200);
  expect(await server.stop()).toBe(0);
});

it('the server takes the arguments of the deployment on GPUs; only the device is not here', async () => {
  const gpu = at(
    document('kubernetes-gpu/deployment.yaml'),
    'spec.template.spec.containers.0.args',
  ) as string[];
  const onCpu = gpu.map((word) => word.replace('--device=cuda', '--device=cpu'));
  expect(onCpu).not.toEqual(gpu);
  const server = await startServer(
    serveHere(onCpu, { '/models': `${folder}/models`, '/etc/tokenlearner/tokens': `${folder}/tokens` }),
  );
  expect(await server.stop()).toBe(0);
});

it("the server takes the arguments of KServe's runtime", async () => {
  const runtime = at(document('kserve/runtime.yaml'), 'spec.containers.0') as Manifest;
  const [{ name, value }] = runtime.env as [{ name: string; value: string }];
  const probe = at(document('kserve/inference-service.yaml'), 'spec.predictor.model.readinessProbe.httpGet');
  const server = await startServer(
    serveHere(runtime.args as string[], {
      '{{.Name}}': 'backbone',
      [`$(${name})`]: value,
      '/mnt/models': `${folder}/models`,
    }),
  );
  expect((await fetch(`${server.url}/v2/models/backbone/ready`)).status).toBe(200);
  expect((await fetch(server.url + (at(probe, 'path') as string))).status).toBe(200);
  expect(await server.stop()).toBe(0);
});

it('a pod has the time that its server needs to drain', () => {
  const [, grace = ''] = args.find((word) => word.startsWith('--grace-period-ms='))?.split('=') ?? [];
  const [program, seconds] = at(container, 'lifecycle.preStop.exec.command') as string[];
  expect(program).toBe('sleep');
  expect(Number(grace)).toBeGreaterThan(0);
  expect(Number(pod.terminationGracePeriodSeconds)).toBeGreaterThan(Number(seconds) + Number(grace) / 1000);
});

it('the probes and services name ports of the container', () => {
  const names = (container.ports as { name: string }[]).map(({ name }) => name);
  const probed = probes.map((probe) => at(container, `${probe}.httpGet.port`));
  const targets = documents('kubernetes/service.yaml').flatMap(({ spec }) =>
    (at(spec ?? {}, 'ports') as { targetPort: string }[]).map(({ targetPort }) => targetPort),
  );
  expect(names).toEqual(expect.arrayContaining([...probed, ...targets]));
});

it("KServe's probes go to the ports of the server, each with its protocol", () => {
  const serverArgs = at(document('kserve/runtime.yaml'), 'spec.containers.0.args') as string[];
  const http = at(document('kserve/inference-service.yaml'), 'spec.predictor.model');
  const grpc = at(document('kserve/inference-service-grpc.yaml'), 'spec.predictor.model');
  const onHttp = at(http, 'readinessProbe.httpGet.port') as number;
  const onGrpc = at(grpc, 'readinessProbe.grpc.port') as number;
  expect(serverArgs).toEqual(expect.arrayContaining([`--http-port=${onHttp}`, `--grpc-port=${onGrpc}`]));
  // Without a port of its own, an InferenceService has Knative's.
  expect(onHttp).toBe(8080);
  expect(at(grpc, 'ports.0.containerPort')).toBe(onGrpc);
});

it('the selectors choose the pods of the deployment, and the autoscaler the deployment', () => {
  const labels = at(deployment, 'spec.template.metadata.labels');
  const services = documents('kubernetes/service.yaml').map((service) => at(service, 'spec.selector'));
  expect([
    at(deployment, 'spec.selector.matchLabels'),
    at(document('kubernetes/disruption-budget.yaml'), 'spec.selector.matchLabels'),
    at(pod, 'topologySpreadConstraints.0.labelSelector.matchLabels'),
    ...services,
  ]).toEqual([labels, labels, labels, labels, labels]);
  const target = at(document('kubernetes/autoscaler.yaml'), 'spec.scaleTargetRef');
  expect(target).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: 'tokenlearner' });
});

it('the images have the version of the packages', () => {
  const images = at(document('kubernetes/kustomization.yaml'), 'images.0.newTag');
  const onGpu = at(document('kubernetes-gpu/kustomization.yaml'), 'images.0.newTag');
  const inKserve = at(document('kserve/runtime.yaml'), 'spec.containers.0.image');
  expect([images, onGpu, inKserve]).toEqual([
    version,
    `${version}-cuda`,
    `registry.example.com/tokenlearner-server:${version}`,
  ]);
});

it('the GPU overlay finds its image by the name of its own patch, whatever the base calls its image', () => {
  const base = at(document('kubernetes/kustomization.yaml'), 'images.0');
  const overlay = at(document('kubernetes-gpu/kustomization.yaml'), 'images.0');
  const image = at(document('kubernetes-gpu/deployment.yaml'), 'spec.template.spec.containers.0.image');
  expect(at(base, 'name')).toBe(container.image);
  expect(at(overlay, 'name')).toBe(image);
  expect(image).not.toBe(container.image);
  expect(at(overlay, 'newName')).toBe(at(base, 'newName'));
});

const runtimeSpec = at(document('kserve/runtime.yaml'), 'spec');
it.each([
  ['the deployment', pod],
  ["KServe's runtime", runtimeSpec],
])('%s has a cache that the server makes itself, in a volume', (_, spec) => {
  const { env, volumeMounts } = at(spec, 'containers.0') as {
    env: { name: string; value: string }[];
    volumeMounts: { name: string; mountPath: string }[];
  };
  const cache = env.find(({ name }) => name === 'TOKENLEARNER_CACHE')?.value ?? '';
  const mount = volumeMounts.find(({ mountPath }) => mountPath === path.dirname(cache));
  expect(at(spec, 'volumes')).toContainEqual({ name: mount?.name, emptyDir: {} });
  // As Kubernetes makes an emptyDir: everybody can write to it, and fsGroup adds the group's bit.
  const volume = mkdtempSync(path.join(folder, 'volume-'));
  chmodSync(volume, 0o2777);
  const inVolume = path.join(volume, path.basename(cache));
  mkdirSync(inVolume, { mode: 0o755 });
  expect(distrustPath(inVolume, path.join(inVolume, 'aoti'))).toBeNull();
  expect(distrustPath(volume, path.join(volume, 'aoti'))).toMatch(/others can write/);
});

it.each([
  ['the deployment', pod, container],
  [
    "KServe's runtime",
    at(document('kserve/runtime.yaml'), 'spec.containers.0.securityContext') as Manifest,
    at(document('kserve/runtime.yaml'), 'spec.containers.0') as Manifest,
  ],
])('%s runs as no root, and cannot write to its root file system', (_, outer, inner) => {
  const both = { ...(outer.securityContext as Manifest | undefined), ...(inner.securityContext as Manifest) };
  expect(both).toMatchObject({
    runAsNonRoot: true,
    runAsUser: 1000,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  });
});
