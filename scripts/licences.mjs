/**
 * What is shipped and under which licence: THIRD-PARTY.md for the packed package, and a CycloneDX bill of materials.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root, SetupError } from './tools.mjs';

/** Linked into the addon, so no package manager knows of them. */
const LINKED = [
  {
    name: 'node-addon-api',
    licence: 'MIT',
    package: 'node-addon-api',
    use: 'headers, compiled into the addon',
  },
  {
    name: 'libstdc++',
    licence: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    use: 'linked into the addon for Linux',
  },
  {
    name: 'CUDA runtime (cudart_static)',
    licence: 'LicenseRef-NVIDIA-CUDA-EULA',
    use: 'linked into the addon where it has CUDA kernels',
    cudaOnly: true,
  },
  {
    name: 'PyTorch stable ABI headers',
    licence: 'BSD-3-Clause',
    use: 'headers, compiled into the addon',
  },
];

/** The packages that a user gets with this one, and theirs: name, version, licence. */
export function runtimeDependencies() {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(packages)
    .filter(([folder, entry]) => folder !== '' && !entry.dev && !entry.devOptional && !entry.optional)
    .map(([folder]) => {
      const manifest = JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
      if (typeof manifest.license !== 'string') throw new SetupError(`${manifest.name} states no licence`);
      return { name: manifest.name, version: manifest.version, licence: manifest.license, folder };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function licenceText(folder) {
  const name = readdirSync(path.join(root, folder)).find((each) => /^licen[cs]e/i.test(each));
  return name === undefined ? null : readFileSync(path.join(root, folder, name), 'utf8').trim();
}

/** THIRD-PARTY.md: what is compiled into the addon, and the packages that npm brings beside it. */
export function thirdPartyNotice({ cuda }) {
  const linked = LINKED.filter((each) => cuda || !each.cudaOnly);
  const rows = [
    ...linked.map(({ name, licence, use }) => [name, licence, use]),
    ...runtimeDependencies().map(({ name, version, licence }) => [
      `${name} ${version}`,
      licence,
      'dependency',
    ]),
  ];
  const texts = linked
    .filter((each) => each.package !== undefined)
    .map((each) => `## ${each.name}\n\n${licenceText(path.join('node_modules', each.package)) ?? ''}`);
  return [
    '# Third parties',
    'libtorch comes in a package of its own, with its own notice.',
    ['| part | licence | how |', '|---|---|---|', ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n'),
    ...texts,
    '',
  ].join('\n\n');
}

/** A CycloneDX 1.6 bill of materials. `files` are what is shipped: name, sha256. */
export function billOfMaterials({ name, version, files, cuda, libtorch }) {
  const component = (each) => ({
    type: 'library',
    name: each.name,
    ...(each.version && { version: each.version }),
    licenses: [{ expression: each.licence }],
  });
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'library', name, version, licenses: [{ expression: 'MIT' }] } },
    components: [
      ...LINKED.filter((each) => cuda || !each.cudaOnly).map(component),
      ...runtimeDependencies().map((each) => ({
        ...component(each),
        purl: `pkg:npm/${each.name.replace('@', '%40')}@${each.version}`,
      })),
      {
        type: 'library',
        name: 'libtorch',
        version: libtorch.version,
        licenses: [{ expression: 'BSD-3-Clause' }],
        hashes: [{ alg: 'SHA-256', content: libtorch.sha256 }],
      },
      ...files.map((file) => ({
        type: 'file',
        name: file.name,
        hashes: [{ alg: 'SHA-256', content: file.sha256 }],
      })),
    ],
  };
}

/** Whether the prebuilt addon has CUDA kernels: those bring NVIDIA's static runtime. */
export function hasCudaKernels(prebuilds) {
  if (!existsSync(prebuilds)) return false;
  return readdirSync(prebuilds, { recursive: true })
    .filter((name) => name.endsWith('.node'))
    .some((name) => readFileSync(path.join(prebuilds, name)).includes('.nv_fatbin'));
}
