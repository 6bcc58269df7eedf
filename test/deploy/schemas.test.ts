/** Each manifest of deploy/ has the fields of its kind, no others, and values that it allows. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { at, deploy, document, documents, type Manifest, patched } from './manifests';
import { problemsOf } from './types';

const files = readdirSync(deploy, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll(path.sep, '/'))
  .filter((name) => name.endsWith('.yaml'));
/** These have only what they change. */
const patches = ['deployment', 'autoscaler'].map((name) => `kubernetes-gpu/${name}.yaml`);

const overlaid = (name: string): Manifest =>
  patched(document(`kubernetes/${name}.yaml`), document(`kubernetes-gpu/${name}.yaml`)) as Manifest;

const manifests = new Map<string, Manifest>([
  ...files
    .filter((file) => !patches.includes(file))
    .flatMap((file) => documents(file).map((each, i) => [`${file}, ${i}`, each] as const)),
  ['the deployment on GPUs', overlaid('deployment')],
  ['the autoscaler on GPUs', overlaid('autoscaler')],
]);
/** Manifests with a mistake, and what finds it. */
const spoiled: [name: string, file: string, spoil: (manifest: Manifest) => void, message: RegExp][] = [
  [
    'an unknown field',
    'kubernetes/deployment.yaml',
    (manifest) => {
      (at(manifest, 'spec.template.spec.containers.0') as Manifest).livnessProbe = {};
    },
    /livnessProbe/,
  ],
  [
    'a missing field',
    'kubernetes/deployment.yaml',
    (manifest) => {
      delete (manifest.spec as Manifest).selector;
    },
    /selector/,
  ],
  [
    'a value of another type',
    'kubernetes/deployment.yaml',
    (manifest) => {
      (at(manifest, 'spec.template.spec.containers.0.resources.requests') as Manifest).cpu = 2;
    },
    /number.*string/,
  ],
  [
    'a metric that KServe does not have',
    'kserve/inference-service.yaml',
    (manifest) => {
      (at(manifest, 'spec.predictor') as Manifest).scaleMetric = 'requests';
    },
    /requests/,
  ],
];

// One run of the compiler for all.
const problems = problemsOf(
  new Map([
    ...manifests,
    ...spoiled.map(([name, file, spoil]): [string, Manifest] => {
      const manifest = document(file);
      spoil(manifest);
      return [name, manifest];
    }),
  ]),
);

it.each([...manifests.keys()])('%s', (name) => {
  expect(problems.get(name)).toEqual([]);
});

it.each(spoiled)('finds %s', (name, _file, _spoil, message) => {
  expect(problems.get(name)?.join('\n')).toMatch(message);
});

const kustomizations = files
  .filter((file) => path.basename(file) === 'kustomization.yaml')
  .map((file) => path.dirname(file));

it.each(kustomizations)('%s: the files that a Kustomization names are there, all of them', (folder) => {
  const { resources, patches: names = [] } = document(`${folder}/kustomization.yaml`) as {
    resources: string[];
    patches?: { path: string }[];
  };
  const bases = resources.filter((name) => path.extname(name) === '');
  const named = [...resources.filter((name) => !bases.includes(name)), ...names.map((patch) => patch.path)];
  const there = readdirSync(path.join(deploy, folder)).filter((name) => name.endsWith('.yaml'));
  expect(['kustomization.yaml', ...named].sort()).toEqual(there.sort());
  for (const base of bases.map((name) => path.posix.join(folder, name))) {
    expect(kustomizations).toContain(base);
    // kustomize takes a base that contains its overlay for a cycle.
    expect(`${folder}/`.startsWith(`${base}/`)).toBe(false);
  }
});

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
(hasKubectl ? it : it.skip).each(kustomizations)('%s: kubectl builds it', (folder) => {
  const { status, stderr } = spawnSync('kubectl', ['kustomize', path.join(deploy, folder)], {
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '']);
});
