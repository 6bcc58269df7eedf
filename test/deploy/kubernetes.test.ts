/** The manifests for Kubernetes and KServe against the server: its arguments, its probes, its time to drain. */
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
    const path = at(container, `${probe}.httpGet.path`) as string;
    const { status } = await fetch(server.url + path);
    expect([probe, status]).toEqual([probe, 200]);
  }
  const model = `${server.url}/v2/models/model`;
  expect((await fetch(model)).status).toBe(401);
  expect((await fetch(model, { headers: { Authorization: `Bearer ${TOKEN}` } })).status).toBe(200);
  expect(await server.stop()).toBe(0);
});

it('the server takes the arguments of the deployment on GPUs; only the device is not here', async () => {
  const gpu = at(
    document('kubernetes/gpu/deployment.yaml'),
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
  const server = await startServer(
    serveHere(runtime.args as string[], {
      '{{.Name}}': 'backbone',
      [`$(${name})`]: value,
      '/mnt/models': `${folder}/models`,
    }),
  );
  expect((await fetch(`${server.url}/v2/models/backbone/ready`)).status).toBe(200);
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
  const onGpu = at(document('kubernetes/gpu/kustomization.yaml'), 'images.0.newTag');
  const inKserve = at(document('kserve/runtime.yaml'), 'spec.containers.0.image');
  expect([images, onGpu, inKserve]).toEqual([
    version,
    `${version}-cuda`,
    `registry.example.com/tokenlearner-server:${version}`,
  ]);
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
